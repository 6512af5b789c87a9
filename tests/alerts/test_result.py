# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of alerts: every field, and what is not known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES, TREE
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.result import ABSTAINED, BRANCHES, CHOICES, FIELDS, results


@dataclass
class Model:
    name: str = "tokens"
    sha256: str = "ab" * 32
    threshold: float = 0.5


@dataclass
class Alerts:
    light_curves: LightCurves
    surveys: list[str] = field(default_factory=list)
    schema_versions: list[str] = field(default_factory=list)


def alerts(*curves: list[tuple[float, str, float, bool]]) -> Alerts:
    """Return alerts with epochs of (mjd, passband, flux, detected)."""
    epochs = [epoch for curve in curves for epoch in curve]
    count = len(curves)
    return Alerts(
        LightCurves(
            np.arange(10, 10 + count),
            [f"ZTF18{number}" for number in range(count)],
            np.cumsum([0, *map(len, curves)]),
            np.array([epoch[0] for epoch in epochs], np.float64),
            np.array([CODES[epoch[1]] for epoch in epochs], np.uint8),
            np.array([epoch[2] for epoch in epochs], np.float64),
            np.ones(len(epochs)),
            np.array([epoch[3] for epoch in epochs], np.bool_),
        ),
        ["ztf"] * count,
        ["4.02"] * count,
    )


RISING = [
    (59000.0, "ztf_g", 0.0, False),
    (59001.5, "ztf_r", 1000.0, True),
    (59004.25, "ztf_g", 10000.0, True),
    (59005.0, "ztf_r", 0.0, False),
]
SURE = [0.9] + [0.1 / 11] * 11


def test_every_field_of_a_result() -> None:
    (record,) = results(alerts(RISING), np.array([SURE], np.float32), Model(), [77])
    assert list(record.fields) == list(FIELDS)
    assert record.key == b"ztf:10"
    p, tree = record.fields.pop("p"), record.fields.pop("tree")
    assert record.fields == {
        "survey": "ztf",
        "schema_version": "4.02",
        "alert_id": 10,
        "object_id": "ZTF180",
        "best": "SN Ia",
        "epochs": 4,
        "detections": 2,
        "mjd": 59004.25,
        "days": 2.75,
        "band": "ztf_g",
        "magnitude": 21.4,
        "model": "tokens",
        "model_sha256": "ab" * 32,
        "received_ns": 77,
    }
    assert list(p) == list(CLASSES)
    assert p["SN Ia"] == 0.9
    assert p["TDE"] == pytest.approx(0.1 / 11, abs=1e-6)
    assert tree["supernova"] == pytest.approx(0.9 + 0.3 / 11, abs=1e-5)
    assert tree["transient"] + tree["persistent"] == pytest.approx(1, abs=1e-5)
    assert tree["nuclear"] == p["TDE"]


def test_the_branches_are_those_of_the_tree() -> None:
    for name, kinds in TREE.items():
        assert set(BRANCHES[name]) == {leaf for kind in kinds for leaf in BRANCHES[kind]}
    assert {leaf for name in TREE for leaf in BRANCHES[name]} == set(CLASSES)


def test_types_are_those_of_the_fields() -> None:
    for record in results(alerts(RISING, [], RISING), np.array([SURE] * 3), Model(), [1, 2, 3]):
        for name, kind in FIELDS.items():
            value = record.fields[name]
            if isinstance(kind, dict):
                assert {key: type(item) for key, item in value.items()} == kind
            else:
                assert value is None or type(value) is kind
            if name in CHOICES and value is not None:
                assert value in CHOICES[name]


def test_below_the_threshold_nothing_is_named() -> None:
    flat = [1 / 12] * 12
    found = results(alerts(RISING, RISING, RISING), np.array([SURE, flat, SURE[::-1]]), Model(), [1, 1, 1])
    assert [record.fields["best"] for record in found] == ["SN Ia", ABSTAINED, CLASSES[-1]]
    (record,) = results(alerts(RISING), np.array([flat]), Model(threshold=0.0), [1])
    assert record.fields["best"] == CLASSES[0]


@pytest.mark.parametrize("curve", [[], [(59000.0, "ztf_g", 0.0, False)]])
def test_what_was_never_detected_has_nothing_of_a_detection(
    curve: list[tuple[float, str, float, bool]],
) -> None:
    found = results(alerts(RISING, curve, RISING), np.array([SURE] * 3), Model(), [1, 1, 1])
    assert [record.fields["detections"] for record in found] == [2, 0, 2]
    assert [record.fields["epochs"] for record in found] == [4, len(curve), 4]
    for name in ("mjd", "days", "band", "magnitude"):
        assert found[1].fields[name] is None
        assert found[0].fields[name] == found[2].fields[name] is not None


def test_a_negative_difference_has_no_magnitude() -> None:
    fading = [(59000.0, "lsst_u", 500.0, True), (59001.0, "lsst_u", -500.0, True)]
    fields = results(alerts(fading, RISING), np.array([SURE] * 2), Model(), [1, 1])[0].fields
    assert (fields["magnitude"], fields["band"], fields["mjd"]) == (None, "lsst_u", 59001.0)


def test_probabilities_that_are_none_are_null_and_leave_the_others_alone() -> None:
    rows = np.array([SURE, [math.nan, *SURE[1:]], SURE])
    found = results(alerts(RISING, RISING, RISING), rows, Model(threshold=0.0), [1, 1, 1])
    assert [record.fields["best"] for record in found] == ["SN Ia", ABSTAINED, "SN Ia"]
    assert found[1].fields["p"] == dict.fromkeys(CLASSES)
    assert found[1].fields["tree"] == dict.fromkeys(BRANCHES)
    assert found[0].fields["p"] == found[2].fields["p"] != found[1].fields["p"]


def test_an_alert_gets_the_same_in_any_batch() -> None:
    alone = results(alerts(RISING), np.array([SURE]), Model(), [5])
    among = results(alerts(RISING, [], RISING), np.array([SURE] * 3), Model(), [6, 6, 6])
    assert alone[0].fields | {"received_ns": 6} == among[0].fields


def test_no_alerts_have_no_results() -> None:
    assert results(alerts(), np.empty((0, 12)), Model(), []) == []


@pytest.mark.parametrize(("rows", "times"), [(1, [1, 1]), (2, [1]), (2, [1, 1, 1])])
def test_batches_of_different_lengths_are_refused(rows: int, times: list[int]) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        results(alerts(RISING, RISING), np.array([SURE] * rows), Model(), times)
