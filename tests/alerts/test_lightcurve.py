# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Choosing and joining ragged light curves."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.alerts.lightcurve import LightCurves


def curves(*lengths: int, first: int = 0) -> LightCurves:
    """Return light curves whose every value says where it is."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.arange(offsets[-1], dtype=np.float64) + 100 * first
    return LightCurves(
        alert_id=np.arange(first, first + len(lengths)),
        object_id=[f"object {number}" for number in range(first, first + len(lengths))],
        offsets=offsets,
        mjd=59_000.0 + values,
        band=(values % 3).astype(np.uint8),
        flux_njy=values,
        error_njy=values + 1.0,
        detected=values % 2 == 0,
    )


def test_take_keeps_each_light_curve_whole_in_the_order_asked_for() -> None:
    found = curves(3, 0, 2, 1).take(np.array([2, 0, 1]))
    assert len(found) == 3
    assert found.alert_id.tolist() == [2, 0, 1]
    assert found.object_id == ["object 2", "object 0", "object 1"]
    assert found.offsets.tolist() == [0, 2, 5, 5]
    assert found.flux_njy.tolist() == [3.0, 4.0, 0.0, 1.0, 2.0]
    assert found.mjd.tolist() == (59_000.0 + found.flux_njy).tolist()
    assert found.error_njy.tolist() == (found.flux_njy + 1.0).tolist()
    assert found.band.tolist() == [0, 1, 0, 1, 2]
    assert found.detected.tolist() == [False, True, True, False, True]


def test_take_of_none() -> None:
    found = curves(3, 2).take(np.empty(0, np.int64))
    assert len(found) == len(found.mjd) == 0
    assert found.offsets.tolist() == [0]


def test_concatenate_puts_one_part_after_another() -> None:
    found = LightCurves.concatenate([curves(2, 1), curves(1, first=2), curves()])
    assert found.alert_id.tolist() == [0, 1, 2]
    assert found.offsets.tolist() == [0, 2, 3, 4]
    assert found.flux_njy.tolist() == [0.0, 1.0, 2.0, 200.0]
    assert found.object_id[-1] == "object 2"


def test_concatenate_nothing() -> None:
    found = LightCurves.concatenate([])
    assert len(found) == 0
    assert found.offsets.tolist() == [0]
    assert found.band.dtype == np.uint8
    assert found.detected.dtype == np.bool_
