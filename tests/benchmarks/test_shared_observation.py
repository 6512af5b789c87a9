# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench shared_observation` trains for real and prints one JSON object."""

from __future__ import annotations

import json

import pytest

from lowlat_nodes.benchmarks import shared_observation

pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_it_prints_one_json_object_with_the_named_fields(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_observation, "_WARM_UP", 0)
    assert shared_observation.main(["--json", "--rounds", "1", "--offsets", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["offsets"] == 2
    for name in ("shared_observation_speedup", "flow_policy_speedup"):
        assert figures[name] > 0.0
    for name in ("transformer", "flow_policy"):
        assert figures[name]["loss"] > 0.0
        assert figures[name]["loss_difference"] <= 1e-5 * figures[name]["loss"]
        assert figures[name]["gradient_relative_difference"] < 1e-3
        assert figures[name]["shared_step_ms"] > 0.0
        assert figures[name]["repeated_step_ms"] > 0.0
    assert figures["transformer"]["tokens_per_observation"] == 26 * 26 + 12
    assert figures["transformer"]["tokens_per_offset"] == 50
    assert figures["attention"].keys() == {"own_rows_ms", "one_pass_ms", "copies_ms"}


def test_ways_take_turns_and_are_timed_in_every_round() -> None:
    ran: list[str] = []
    times_ms = shared_observation.take_turns({name: lambda name=name: ran.append(name) for name in "ab"}, 2)
    assert {name: len(values) for name, values in times_ms.items()} == {"a": 2, "b": 2}
    assert "".join(ran).endswith("abba")
