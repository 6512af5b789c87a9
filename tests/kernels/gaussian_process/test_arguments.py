# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What `gaussian_process` refuses, and that it has written nothing by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.gaussian_process import IN_NUMPY, Posterior, gaussian_process


def changed(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[-1] = value
    return array


# Of a batch of two curves with 4 and 5 epochs: what is changed, and what the error says.
BAD_CURVES: list[tuple[str, Callable[[np.ndarray], Any], str]] = [
    ("times", lambda a: changed(a, np.nan), r"times: expected finite numbers, got nan at \[8\]"),
    ("values", lambda a: changed(a, np.inf), r"values: expected finite numbers, got inf at \[8\]"),
    ("wavelengths", lambda a: changed(a, -np.inf), "wavelengths: expected finite"),
    ("variances", lambda a: changed(a, 0.0), r"variances: expected finite numbers above 0, got 0 at \[8\]"),
    ("variances", lambda a: changed(a, np.nan), "variances: expected finite numbers above 0, got nan"),
    ("times", lambda a: a.astype(np.float32), "times: expected float64, got float32"),
    ("values", lambda a: a[:-1].copy(), r"values: expected the shape \[9\], got \[8\]"),
    ("values", lambda a: np.repeat(a, 2)[::2], "values: expected contiguous"),
    ("values", lambda a: a.tolist(), "values: expected an array of NumPy or torch, got list"),
    ("offsets", lambda a: a.astype(np.int32), "offsets: expected int64, got int32"),
    ("offsets", lambda a: a[:1].copy(), "offsets: expected those of at least one curve"),
    ("offsets", lambda a: a[:0].copy(), "offsets: expected at least one element"),
    ("offsets", lambda a: a + 1, "offsets: expected numbers that rise from 0 to the 9 epochs, got 1 to 10"),
    ("offsets", lambda _: np.array([0, 10, 9]), "with a fall at curve 1"),
    ("offsets", lambda _: np.array([0, 4, 8]), "rise from 0 to the 9 epochs, got 0 to 8"),
]


def poisoned() -> Posterior:
    return Posterior(np.full((2, 100, 2), np.nan), np.full((2, 100, 2), np.nan), np.full(2, np.nan))


def assert_untouched(out: Posterior) -> None:
    assert all(np.isnan(each).all() for each in out)


@pytest.mark.parametrize(("name", "change", "message"), BAD_CURVES)
def test_curves(name: str, change: Callable[..., Any], message: str, batch: Callable[..., Any]) -> None:
    given, out = batch([4, 5]), poisoned()
    given = given.with_curves(**{name: change(getattr(given.curves, name))})
    with pytest.raises(BadArgument, match=message):
        given.by("batched", out=out)
    assert_untouched(out)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "amplitudes",
            np.array([1.0, 0.0]),
            r"amplitudes: expected 1e-100 to 1e\+100, in a suitable unit, got 0 at \[1\]",
        ),
        ("amplitudes", np.array([1.0, 1e101]), "amplitudes: expected 1e-100 to 1e\\+100"),
        ("amplitudes", np.array([1e-101, 1.0]), r"in a suitable unit, got 1e-101 at \[0\]"),
        ("amplitudes", np.array([1.0, np.nan]), r"amplitudes: expected .*, got nan at \[1\]"),
        ("amplitudes", np.ones(3), r"amplitudes: expected the shape \[2\], got \[3\]"),
        ("time_scales", np.array([1.0, -1.0]), r"time_scales: expected 1e-30 to 1e\+30, .* got -1 at \[1\]"),
        ("time_scales", np.array([1.0, 1e-31]), "time_scales: expected .*, got 1e-31"),
        ("time_scales", np.ones((2, 1)), r"time_scales: expected the shape \[2\]"),
        ("wavelength_scale", 0.0, "wavelength_scale: expected 1e-30 to 1e\\+30, got 0.0"),
        ("wavelength_scale", float("nan"), "wavelength_scale"),
        ("query_wavelengths", np.array([np.nan, 1.0]), "query_wavelengths: expected finite"),
        ("query_wavelengths", np.zeros(0), "query_wavelengths: expected at least one"),
    ],
)
def test_parameters(name: str, value: Any, message: str, batch: Callable[..., Any]) -> None:
    given, out = replace(batch([4, 5]), **{name: value}), poisoned()
    with pytest.raises(BadArgument, match=message):
        given.by("batched", out=out)
    assert_untouched(out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"steps": 2.0}, "steps: expected a whole number"),
        ({"floor": -1.0}, "floor: expected at least 0"),
        ({"floor": float("nan")}, "floor: expected at least 0"),
        (
            {"query_times": np.full((2, 100), np.nan)},
            r"query_times: expected finite numbers, got nan at \[0, 0\]",
        ),
        ({"query_times": np.zeros((3, 3))}, r"query_times: expected the shape \[2, any\]"),
        ({"query_times": np.zeros((2, 0))}, "query_times: expected at least one element"),
        (
            {"steps": 1 << 31},
            r"expected at most 2147483647 results, got the shape \[2, 2147483648, 2\]; split",
        ),
        ({"steps": 99}, r"out.mean: expected the shape \[2, 99, 2\]"),
    ],
)
def test_options(options: dict[str, Any], message: str, batch: Callable[..., Any]) -> None:
    given, out = batch([4, 5]), poisoned()
    with pytest.raises(BadArgument, match=message):
        given.by("batched", out=out, **options)
    assert_untouched(out)


def test_results_of_another_kind(batch: Callable[..., Any]) -> None:
    given = batch([4, 5])
    for at in range(3):
        out = list(poisoned())
        out[at] = out[at].astype(np.float32)
        with pytest.raises(BadArgument, match=f"out.{Posterior._fields[at]}: expected float64, got float32"):
            given.by("batched", out=Posterior(*out))


def test_a_curve_that_is_too_long(batch: Callable[..., Any]) -> None:
    given = batch([2, IN_NUMPY.epochs + 1])
    with pytest.raises(BadArgument, match=r"at most 4096 epochs, got one of 4097 \(curve 1\); bin"):
        given.by("batched")


def test_the_operation_itself_checks(batch: Callable[..., Any]) -> None:
    given = batch([4])
    with pytest.raises(BadArgument, match="wavelength_scale"):
        gaussian_process(given.curves, given.amplitudes, given.time_scales, -1.0, given.query_wavelengths)
