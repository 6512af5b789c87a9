# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What t2 sees has none of the defects that its deployment in a broker had; each has a test here."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.t2_inputs import MOST_EPOCHS, around_detections, t2_inputs


def light_curve(
    days: list[float],
    flux: list[float],
    band: str | list[str] = "ztf_g",
    *,
    error: float = 500.0,
    detected: list[bool] | None = None,
) -> LightCurves:
    bands = [band] * len(days) if isinstance(band, str) else band
    return LightCurves(
        np.array([1]),
        ["object"],
        np.array([0, len(days)]),
        60000.0 + np.array(days, float),
        np.array([CODES[name] for name in bands], np.uint8),
        np.array(flux, float),
        np.full(len(days), error),
        np.ones(len(days), bool) if detected is None else np.array(detected, bool),
    )


FADING = light_curve([0, 5, 10, 15, 20], [9e4, 7e4, 5e4, 3e4, 1e4])


def test_time_runs_from_the_oldest_epoch_to_the_newest() -> None:
    flux = t2_inputs(FADING)["flux_njy"][0, :, 0]
    assert flux[0] > 8e4
    assert flux[-1] < 2e4
    assert np.all(np.diff(flux) < 0.0)


def test_the_scale_of_the_flux_is_kept() -> None:
    brighter = light_curve([0, 5, 10, 15, 20], [9e6, 7e6, 5e6, 3e6, 1e6], error=5e4)
    faint, bright = t2_inputs(FADING), t2_inputs(brighter)
    np.testing.assert_allclose(bright["flux_njy"], 100.0 * faint["flux_njy"], rtol=1e-4)
    np.testing.assert_allclose(bright["error_njy"], 100.0 * faint["error_njy"], rtol=1e-4)


def test_a_light_curve_is_the_same_whatever_is_beside_it() -> None:
    one, other = FADING, light_curve([0, 3, 9], [-2e5, 1e6, 3e5], "ztf_r")
    both = LightCurves(
        np.array([1, 2]),
        ["a", "b"],
        np.array([0, 5, 8]),
        *(
            np.concatenate([getattr(one, name), getattr(other, name)])
            for name in ("mjd", "band", "flux_njy", "error_njy", "detected")
        ),
    )
    together = t2_inputs(both)
    for number, alone in enumerate((one, other)):
        for name, values in t2_inputs(alone).items():
            np.testing.assert_allclose(together[name][number], values[0], rtol=1e-5, atol=1e-2)


def test_g_comes_before_r_whatever_python_hashes_with() -> None:
    program = (
        "import sys\n"
        "sys.modules['numba'] = None  # it would compile for seconds\n"
        "import numpy as np\n"
        "from lowlat_nodes.alerts.lightcurve import LightCurves\n"
        "from lowlat_nodes.alerts.passbands import CODES\n"
        "from lowlat_nodes.alerts.t2_inputs import PASSBANDS, t2_inputs\n"
        "band = np.array([CODES['ztf_g'], CODES['ztf_r']] * 5, np.uint8)\n"
        "flux = np.where(band == CODES['ztf_g'], 1e5, 1e3)\n"
        "curves = LightCurves(np.array([1]), ['a'], np.array([0, 10]), 6e4 + np.arange(10.0), band, flux,\n"
        "                     np.full(10, 100.0), np.ones(10, bool))\n"
        "flux = t2_inputs(curves)['flux_njy'][0].mean(0)\n"
        "print(*PASSBANDS, flux[0] > flux[1])\n"
    )
    for seed in ("0", "1", "2", "3"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        ran = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert ran.stdout.split() == ["ztf_g", "ztf_r", "True"]


def test_what_got_fainter_than_the_template_is_negative() -> None:
    dip = light_curve([0, 5, 10, 15, 20], [-1e3, -3e4, -6e4, -3e4, -1e3])
    flux = t2_inputs(dip)["flux_njy"][0, :, 0]
    assert flux.min() < -5e4
    assert flux.max() < 1e3


def test_it_is_told_how_long_the_light_curve_is_and_where_it_has_no_data() -> None:
    slow = light_curve([0, 50, 100, 150, 200], [9e4, 7e4, 5e4, 3e4, 1e4])
    assert t2_inputs(FADING)["span_days"].tolist() == [20.0]
    assert t2_inputs(slow)["span_days"].tolist() == [200.0]
    gap = light_curve([0, 1, 2, 3, 97, 98, 99, 100], [9e4, 8.9e4, 9e4, 8.8e4, 3e4, 3.1e4, 2.9e4, 3e4])
    error = t2_inputs(gap, fitted=False)["error_njy"][0, :, 0]
    assert error[50] > 10.0 * max(error[0], error[-1])
    # Nothing was measured in r, so that is less certain than g.
    assert np.all(t2_inputs(gap)["error_njy"][0, :, 1] > t2_inputs(gap)["error_njy"][0, :, 0])


def test_other_passbands_are_interpolated_to_g_and_r() -> None:
    blue = light_curve([0, 5, 10, 15], [5e4, 6e4, 6e4, 5e4], ["lsst_u", "lsst_g", "lsst_u", "lsst_g"])
    flux = t2_inputs(blue)["flux_njy"][0]
    assert flux[:, 0].min() > 4e4
    assert np.all(flux[:, 1] < flux[:, 0])


def test_epochs_near_detections_are_kept_and_impossible_ones_are_not() -> None:
    days = [-60.0, -49.0, 0.0, 10.0, 59.0, 61.0, 62.0]
    curves = light_curve(days, [0.0] * 7, detected=[False, False, True, True, False, False, False])
    assert around_detections(curves).mjd.tolist() == [59951.0, 60000.0, 60010.0, 60059.0]
    curves.flux_njy[1] = np.nan
    assert around_detections(curves).mjd.tolist() == [60000.0, 60010.0, 60059.0]
    curves.error_njy[2] = 0.0
    assert around_detections(curves).mjd.tolist() == [60010.0, 60059.0]
    curves.mjd[3] = 1e300
    curves.flux_njy[4] = -1e300
    # Now nothing is detected, and all that is possible counts.
    assert around_detections(curves).mjd.tolist() == [59940.0, 60061.0, 60062.0]
    curves.error_njy[:] = np.inf
    assert around_detections(curves).offsets.tolist() == [0, 0]


def test_without_detections_all_epochs_count() -> None:
    curves = light_curve([0.0, 400.0], [0.0, 0.0], detected=[False, False])
    assert len(around_detections(curves).mjd) == 2


def test_the_newest_epochs_of_very_many_are_taken() -> None:
    count = 100_000
    curves = light_curve([0.001 * number for number in range(count)], [1e4] * count)
    kept = around_detections(curves)
    assert kept.offsets.tolist() == [0, MOST_EPOCHS]
    np.testing.assert_array_equal(kept.mjd, curves.mjd[-MOST_EPOCHS:])


@given(data=st.data())
@settings(max_examples=60)
def test_whatever_was_measured_there_are_finite_inputs(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    numbers = st.floats(width=64, allow_nan=True, allow_infinity=True)
    likely = st.floats(-1e6, 1e6)
    columns = [
        np.array(data.draw(st.lists(numbers | likely, min_size=count, max_size=count))) for _ in range(3)
    ]
    detected = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    curves = light_curve(list(np.sort(columns[0])), list(columns[1]), detected=detected)
    curves.error_njy[:] = columns[2]
    inputs = t2_inputs(around_detections(curves))
    assert all(np.isfinite(values).all() for values in inputs.values())
