# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Cells of the suite with the shipped policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.benchmarks import _suite
from lowlat_nodes.benchmarks._suite_cells import Cell, Checkpoints, play_cell, run
from lowlat_nodes.control.actuator import save_actuators
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.step_delay import nominal_actuators

pytest.importorskip("mujoco")
pytestmark = pytest.mark.sim
CHECKPOINTS = _suite.shipped()


@pytest.fixture
def actuators(tmp_path: Path) -> Path:
    path = tmp_path / "actuators.yaml"
    save_actuators(path, nominal_actuators())
    return path


def without_cpu(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "cpu_s"}


def test_every_variant_is_shipped() -> None:
    assert CHECKPOINTS.missing() == []


@pytest.mark.parametrize("method", ["ours", "rtc", "rtc_trained", "a2c2"])
def test_the_same_cell_gives_the_same_bits(method: str, actuators: Path) -> None:
    cell = Cell("insertion", method, 4, 2, 0, 10)
    record = play_cell(cell, CHECKPOINTS, actuators)
    assert without_cpu(record) == without_cpu(play_cell(cell, CHECKPOINTS, actuators))
    assert sum(record["series"]) >= 8
    assert len(record["reaction_ms"]) + record["reactions_missed"] == 10


def test_a_residual_head_reacts_before_the_next_chunk(actuators: Path) -> None:
    slow, fast = (
        play_cell(Cell("interception", method, 8, 0, 0, 10), CHECKPOINTS, actuators)
        for method in ("delay_conditioned", "ours")
    )
    assert max(fast["reaction_ms"]) < 8 * 20 <= min(slow["reaction_ms"])
    assert sum(fast["series"]) > sum(slow["series"])


def test_an_interrupted_run_goes_on(actuators: Path, tmp_path: Path) -> None:
    cells = [Cell("reaction", method, 0, 0, 0, 10) for method in ("oracle", "naive_async")]
    kept, said = tmp_path / "cells.jsonl", list[str]()
    first = run(cells, CHECKPOINTS, actuators, kept, workers=1, say=said.append)
    assert said[0] == "1 of 1 cells to play"
    kept.write_text(kept.read_text() + '{"key": "torn')
    assert run(cells, CHECKPOINTS, actuators, kept, workers=1, say=said.append) == first
    assert said[-1] == "0 of 1 cells to play"
    assert [record["method"] for record in first.values()] == ["oracle", "naive_async"]


def test_missing_policies_are_told() -> None:
    with pytest.raises(ConfigurationError, match="expected --policies FOLDER"):
        _suite.run(quick=False, policies=None, work=None, plots=None, parts=("step",))
    with pytest.raises(ConfigurationError, match="expected trained policies, 21 are missing"):
        _suite.run(quick=False, policies=Path("/nowhere"), work=None, plots=None, parts=("step",))
    assert len(Checkpoints("/nowhere/{seed}{variant}", (0,)).missing()) == 7
