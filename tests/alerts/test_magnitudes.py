# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.magnitudes import magnitudes
from lowlat_nodes.alerts.passbands import CODES


def curves(flux_njy: list[float], detected: list[bool], bands: list[str]) -> LightCurves:
    """Return two alerts, of which the second has these epochs."""
    epochs = len(flux_njy)
    return LightCurves(
        np.array([1, 2]),
        ["other", "one"],
        np.array([0, 1, 1 + epochs]),
        np.arange(59000.0, 59001.0 + epochs),
        np.array([CODES[band] for band in ["lsst_y", *bands]], np.uint8),
        np.array([1e9, *flux_njy]),
        np.full(1 + epochs, 100.0),
        np.array([True, *detected]),
    )


def test_detections_are_given_by_passband_in_magnitudes() -> None:
    found = magnitudes(curves([1e3, 1e4, 5e3], [True, True, True], ["ztf_g", "ztf_r", "ztf_g"]), 1)
    assert list(found) == ["ztf_g", "ztf_r"]
    assert [point[0] for point in found["ztf_g"]] == [59001.0, 59003.0]
    assert found["ztf_r"][0][1:] == pytest.approx([21.4, 0.010857], abs=1e-5)


def test_what_has_no_magnitude_is_left_out() -> None:
    assert magnitudes(curves([0.0, -500.0, 1e3], [False, True, False], ["ztf_g"] * 3), 1) == {}
    assert magnitudes(curves([], [], []), 1) == {}


def test_the_newest_epochs_are_kept() -> None:
    found = magnitudes(curves([1e3] * 9, [True] * 9, ["ztf_g"] * 9), 1, most=2)
    assert [point[0] for point in found["ztf_g"]] == [59008.0, 59009.0]
