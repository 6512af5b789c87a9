# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.photometry import SHORT_NAMES, VEGA_TO_AB_MAG, light_curve
from lowlat_nodes.stream.errors import ConfigurationError


def test_magnitudes_become_fluxes_in_time_order() -> None:
    curve = light_curve(
        [60002.0, 60000.0, 60001.0],
        ["r", "ztf_g", "V"],
        magnitude=[20.0, 31.4, 28.9],
        error=[0.1, 0.01, 0.2],
        name="SN 1987A",
    )
    assert curve.object_id == ["SN 1987A"]
    assert curve.offsets.tolist() == [0, 3]
    assert curve.mjd.tolist() == [60000.0, 60001.0, 60002.0]
    assert curve.band.tolist() == [CODES["ztf_g"], CODES["bessell_v"], CODES["sdss_r"]]
    np.testing.assert_allclose(curve.flux_njy, [1.0, 10.0, 36307.8], rtol=1e-5)
    np.testing.assert_allclose(
        curve.error_njy / curve.flux_njy, np.log(10.0) * 0.4 * np.array([0.01, 0.2, 0.1])
    )
    assert curve.detected.all()


def test_a_limit_is_no_flux_with_a_fifth_of_it_as_error() -> None:
    curve = light_curve([1.0, 2.0], "gg", magnitude=[28.9, 28.9], error=[np.nan, 0.1], detected=[False, True])
    assert curve.flux_njy.tolist() == pytest.approx([0.0, 10.0])
    assert curve.error_njy[0] == pytest.approx(2.0)
    assert curve.detected.tolist() == [False, True]


def test_fluxes_are_detected_from_5_sigma_on() -> None:
    curve = light_curve([1.0, 2.0, 3.0], "grg", flux_njy=[49.0, 51.0, -60.0], error=[10.0, 10.0, 10.0])
    assert curve.detected.tolist() == [False, True, True]
    assert curve.flux_njy.tolist() == [49.0, 51.0, -60.0]


def test_vega_magnitudes_are_shifted_in_the_passbands_of_that_system_alone() -> None:
    given = {"magnitude": [20.0, 20.0], "error": [0.1, 0.1]}
    ab, vega = (light_curve([1.0, 2.0], ["U", "g"], **given, vega=vega) for vega in (False, True))
    ratio = vega.flux_njy / ab.flux_njy
    assert ratio.tolist() == pytest.approx([10.0 ** (-0.4 * VEGA_TO_AB_MAG["bessell_u"]), 1.0])


def test_an_epoch_that_is_there_twice_counts_once() -> None:
    curve = light_curve([1.0, 1.0, 1.0, 2.0], "grgg", flux_njy=[5.0, 6.0, 7.0, 8.0], error=[1.0] * 4)
    assert list(zip(curve.mjd.tolist(), curve.flux_njy.tolist(), strict=True)) == [
        (1.0, 5.0),
        (1.0, 6.0),
        (2.0, 8.0),
    ]


def test_every_short_name_means_a_passband() -> None:
    assert set(SHORT_NAMES.values()) <= set(CODES)
    assert set(VEGA_TO_AB_MAG) <= set(CODES)


def test_an_object_without_epochs_is_a_light_curve_too() -> None:
    curve = light_curve([], [], flux_njy=[], error=[])
    assert len(curve) == 1
    assert curve.offsets.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bands": ["g", "UVW1"]}, "unknown passbands UVW1; expected u, g"),
        ({"magnitude": [20.0, 20.0]}, "either magnitude or flux_njy"),
        ({"error": [1.0]}, "got 2, 2, 2 and 1"),
        ({"detected": [True]}, "detected: expected 2"),
    ],
)
def test_what_does_not_fit_together(changed: dict[str, object], message: str) -> None:
    given = {"mjd": [1.0, 2.0], "bands": ["g", "r"], "flux_njy": [1.0, 2.0], "error": [1.0, 1.0]} | changed
    with pytest.raises(ConfigurationError, match=message):
        light_curve(**given)  # type: ignore[arg-type]


def test_missing_errors_are_assumed_and_missing_values_left_out() -> None:
    curve = light_curve(
        [1.0, 2.0, np.nan, 4.0, 5.0],
        "grgrg",
        magnitude=[20.0, np.nan, 20.0, 20.0, 20.0],
        error=[0.0, 0.1, 0.1, np.nan, 0.02],
    )
    assert curve.mjd.tolist() == [1.0, 4.0, 5.0]
    relative = curve.error_njy / curve.flux_njy / (0.4 * np.log(10.0))
    assert relative.tolist() == pytest.approx([0.1, 0.1, 0.02])
    fluxes = light_curve([1.0, 2.0], "gg", flux_njy=[50.0, np.inf], error=[np.nan, 1.0])
    assert fluxes.error_njy.tolist() == [5.0]
