# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of energy over time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

sys.path.insert(0, str(Path(__file__).parent))

from energy_host import host, meter, node, simulated

from lowlat_nodes.cli.energy_history import COST, Row, rows
from lowlat_nodes.cli.energy_plot import _unbroken, draw
from lowlat_nodes.energy.figures import Cost
from lowlat_nodes.stream.errors import ConfigurationError


def history(fake: str = "", seconds: int = 20, name: str = "robot1") -> list[Row]:
    costs = (
        Cost("rapl/package-0", "640x640", 0.5, 0.02, "regression"),
        Cost("rapl/package-0", "320x320", 0.2, 0.0, "share"),
    )
    made: list[Row] = []
    for second in range(seconds):
        moment = host(
            second,
            host=name,
            meters=(meter(fake=fake), meter("nvml/0", watts=90.0, fake=fake)),
            nodes=(node("/detector_node", *costs), node("/policy_node", unit="action", watts=2.0)),
        )
        made += rows(moment)
    return made


def test_all_that_is_drawn_has_a_name_and_a_unit(tmp_path: Path) -> None:
    path = tmp_path / "made" / "energy.svg"
    draw(history(), path)
    text = path.read_text(encoding="utf-8")
    for word in (
        "energy of robot1", "rapl/package-0, measured", "nvml/0, measured", "idle", "unattributed",
        "/detector_node 640x640", "/detector_node 320x320, by share", "/policy_node", "J/detection", "UTC",
    ):  # fmt: skip
        assert word in text
    assert "FAKE" not in text


def test_fakes_are_called_so(tmp_path: Path) -> None:
    draw(history("simulated"), tmp_path / "energy.svg")
    text = (tmp_path / "energy.svg").read_text(encoding="utf-8")
    assert "FAKE METERS: simulated" in text
    assert "measured, FAKE" in text


def test_the_same_history_is_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(history(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_one_moment_can_be_drawn_too(tmp_path: Path) -> None:
    draw(history(seconds=1), tmp_path / "energy.svg")
    assert (tmp_path / "energy.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ([], "no power over time to draw"),
        (history(name="a") + history(name="b"), "one host, got those of a, b"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, made: list[Row], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        draw(made, tmp_path / "energy.svg")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write"):
        draw(history(), tmp_path / "file" / "energy.svg")


def test_nothing_is_drawn_where_figures_are_missing() -> None:
    times_s = np.array([0.0, 1.0, 2.0, 30.0, 31.0, 32.0])
    assert _unbroken(times_s) == [slice(0, 3), slice(3, 6)]


def test_a_simulated_host_is_drawn_with_the_costs_that_are_true(tmp_path: Path) -> None:
    made = [row for figures in simulated(300) for row in rows(figures)]
    draw(made, tmp_path / "energy.svg")
    assert "FAKE METERS: simulated" in (tmp_path / "energy.svg").read_text(encoding="utf-8")
    last = {row.unit: row.value for row in made if row.quantity == COST}
    assert last["J/detection"] == pytest.approx(1.5, rel=0.1)
    assert last["J/action"] == pytest.approx(8.0, rel=0.1)
