# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.cli.dash.rows import figures, finite, key, row
from lowlat_nodes.cli.reports import Report

VALUES = {
    "state": "active",
    "rate_in_hz": "102.4",
    "rate_out_hz": "99.96",
    "latency_p50_ms": "150.5",
    "latency_p99_ms": "155",
    "age_p50_ms": "nan",
    "age_p99_ms": "nan",
    "drops": "12",
    "drops.superseded": "12",
    "drops.stale": "0",
    "failures": "3",
    "energy.kind": "modelled",
    "energy.unit": "chunk",
    "energy.j_per_result": "0.9",
    "energy.w": "1.5",
    "energy.fake": "",
}


def report(**values: str) -> Report:
    return Report("/policy_node", "policy", "ok", "running", 0.4, VALUES | values)


def test_a_row_has_what_the_node_says_and_null_for_what_it_does_not() -> None:
    found: dict[str, Any] = json.loads(json.dumps(row(report()), allow_nan=False))
    assert found.pop("values") == VALUES
    assert found == {
        "name": "/policy_node",
        "part": "policy",
        "level": "ok",
        "message": "running",
        "state": "active",
        "silent_s": 0.4,
        "rate_in_hz": 102.4,
        "rate_out_hz": 99.96,
        "latency_ms": {"p50": 150.5, "p99": 155.0},
        "age_ms": None,
        "latency_newest_ms": None,
        "drops": {"superseded": 12},
        "failures": {"all": 3},
        "energy": {"kind": "modelled", "fake": False, "watts": 1.5, "j_per_result": 0.9, "unit": "chunk"},
    }


def test_the_cost_of_an_action_comes_before_that_of_a_chunk() -> None:
    energy = row(report(**{"energy.j_per_action": "0.03"}))["energy"]
    assert (energy["j_per_result"], energy["unit"]) == (0.03, "action")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"energy.kind": "unavailable"}, {"kind": "unavailable", "watts": None, "j_per_result": None}),
        ({"energy.fake": "sysfs of a test"}, {"fake": True}),
        ({"energy.j_per_result": "nan", "energy.unit": ""}, {"j_per_result": None, "unit": "result"}),
    ],
)
def test_how_energy_is_known_stands_beside_it(changes: dict[str, str], expected: dict[str, Any]) -> None:
    assert row(report(**changes))["energy"].items() >= expected.items()


def test_other_peoples_nodes_have_a_row_too() -> None:
    found = row(Report("cpu", "", "stale", "12 %" * 999, 0.1, {"load": "x" * 9999}))
    assert (found["state"], found["latency_ms"], found["drops"], found["energy"]) == ("", None, {}, None)
    assert len(found["message"]) == len(found["values"]["load"]) == 500


def test_the_history_goes_by_node_and_part() -> None:
    assert key(report()) == "/policy_node: policy"
    assert key(Report("cpu", "", "ok", "", 0.0, {})) == "cpu"
    assert figures(report()) == {
        "rate_in_hz": 102.4,
        "rate_out_hz": 99.96,
        "latency_p50_ms": 150.5,
        "latency_p99_ms": 155.0,
        "age_p50_ms": None,
        "age_p99_ms": None,
        "dropped": 12.0,
        "watts": 1.5,
        "j_per_result": 0.9,
    }


def test_what_json_has_not_is_null() -> None:
    assert finite(np.array([1.234567, np.nan, np.inf])) == [1.23457, None, None]
