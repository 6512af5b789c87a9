# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the policy node used during the lights: from the board of a sampler, and never made up."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lowlat_nodes.cli.demo.energy import FILE, NODE, EnergyWatch, RunEnergy, sampled, unavailable
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures, MeterFigures, Missing, NodeFigures
from lowlat_nodes.energy.folder import VARIABLE
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind

METER = "rapl/package-0"


def figures(
    at_s: float, joules: float, *, kind: Kind = Kind.MEASURED, fake: str = "", why: str = "", node: str = NODE
) -> Figures:
    """Figures of a host whose sampler has charged so much to a node, `at_s` from now."""
    meter = MeterFigures(
        METER, "cpu", ("cpu",), "", fake, kind, 0.001, 1e-6,
        30.0, 10.0 * at_s, 20.0, 0.0, joules, 0.0, 0.0, 0.0, why,
    )  # fmt: skip
    used = {} if kind is Kind.UNAVAILABLE else {METER: 2.5}
    charged = {} if kind is Kind.UNAVAILABLE else {METER: joules}
    worker = NodeFigures(node, "action", 100, 100.0, 1.0, math.nan, used, charged, ())
    steady_ns = time.monotonic_ns() + round((at_s - 60.0) * 1e9)
    missing = (Missing("nvml", "no driver"),)
    return Figures("here", time.time_ns(), steady_ns, 60.0, (meter,), missing, (worker,))


def watched(folder: Path, *published: Figures) -> tuple[EnergyWatch, RunEnergy]:
    """Follow a run in which one set of figures after the other is on the board."""
    board, watch = Board(folder), EnergyWatch(folder)
    for number, each in enumerate(published):
        board.publish(each)
        last = number == len(published) - 1
        watch.hear({"event": "start"} if number == 0 else {"event": "end"} if last else {"policy": {}})
    return watch, watch.result()


def test_power_is_what_was_charged_to_the_node_from_the_start_of_the_lights_to_their_end(
    tmp_path: Path,
) -> None:
    _, energy = watched(tmp_path, figures(10, 100.0), figures(20, 103.0), figures(40, 160.0))
    assert (energy.kind, energy.meters) == ("measured", (METER,))
    assert energy.watts == pytest.approx(2.0, rel=1e-3)
    found = energy.figures(30.0, 3000)
    assert found["j_per_action"] == pytest.approx(0.02, rel=1e-3)
    assert found["joules"] == pytest.approx(60.0, rel=1e-3)


def test_a_model_says_what_it_is_of(tmp_path: Path) -> None:
    why = "a model of 0.74 W per idle and 3.5 W per busy CPU"
    _, energy = watched(
        tmp_path,
        *(figures(at_s, 2.0 * at_s, kind=Kind.MODELLED, why=why) for at_s in (10, 20)),
    )
    assert (energy.kind, energy.why) == ("modelled", why)


@pytest.mark.parametrize(
    ("published", "why"),
    [
        ([figures(0, 0.0, kind=Kind.UNAVAILABLE, why="locked")] * 2, "locked; missing here: nvml"),
        ([figures(0, 0.0, fake="fake sysfs"), figures(30, 9.0, fake="fake sysfs")], "fakes (fake sysfs)"),
        ([figures(0, 0.0), figures(30, 9.0, kind=Kind.MODELLED)], "changed during the run"),
        ([figures(0, 0.0), figures(2, 9.0)], "2.0 s are too short"),
        ([figures(0, 0.0, node="/another"), figures(30, 9.0, node="/another")], "missing here: nvml"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_figure(tmp_path: Path, published: list[Figures], why: str) -> None:
    now = time.monotonic_ns()
    first_ns = published[0].steady_ns
    fresh = [replace(each, steady_ns=now - 40 * 10**9 + each.steady_ns - first_ns) for each in published]
    watch, energy = watched(tmp_path, *fresh)
    assert (energy.kind, energy.watts) == ("unavailable", None)
    assert why in energy.why
    assert energy.figures(10.0, 100)["j_per_action"] is None
    del watch


def test_a_sampler_that_is_not_there_is_no_figure(tmp_path: Path) -> None:
    watch = EnergyWatch(tmp_path)
    assert watch.hear({"event": "start"}) == {"kind": "unavailable", "watts": None}
    assert "nobody samples this host" in watch.result().why
    ours = EnergyWatch(tmp_path, tmp_path / "vlash" / "energyd.log")
    assert "during the lights; vlash/energyd.log says why" in ours.result().why


def test_the_live_table_gets_the_power_of_the_node(tmp_path: Path) -> None:
    watch, _ = watched(tmp_path, figures(0, 0.0))
    assert watch.hear({"policy": {}}) == {"kind": "measured", "watts": 2.5}


def test_it_is_kept_beside_the_bag(tmp_path: Path) -> None:
    energy = RunEnergy("modelled", 1.25, (METER,), "a model")
    energy.save(tmp_path)
    assert RunEnergy.load(tmp_path) == energy
    unavailable("no meter").save(tmp_path)
    assert RunEnergy.load(tmp_path) == unavailable("no meter")


@pytest.mark.parametrize(
    "values",
    [
        "[]",
        "{",
        json.dumps({"kind": "measured", "watts": None, "meters": [], "why": ""}),
        json.dumps({"kind": "guessed", "watts": 1.0, "meters": [], "why": ""}),
        json.dumps({"kind": "measured", "watts": 1.0, "why": ""}),
        '{"kind": "measured", "watts": NaN, "meters": [], "why": ""}',
    ],
)
def test_a_damaged_file_is_no_figure(tmp_path: Path, values: str) -> None:
    (tmp_path / FILE).write_text(values)
    assert "cannot be read" in RunEnergy.load(tmp_path).why


def test_a_run_of_before_has_no_figure(tmp_path: Path) -> None:
    assert "without a sampler" in RunEnergy.load(tmp_path).why
    with pytest.raises(ConfigurationError, match="expected watts"):
        RunEnergy("measured")


def test_the_sampler_of_the_host_is_taken_unless_it_knows_a_policy_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir(mode=0o700)
    monkeypatch.setenv(VARIABLE, str(pages))
    Board(pages).publish(figures(60, 1.0, node="/another"))
    with sampled(tmp_path, {VARIABLE: str(pages)}) as (_, environment):
        assert environment[VARIABLE] == str(pages)

    Board(pages).publish(figures(60, 1.0))
    with sampled(tmp_path, {VARIABLE: str(pages)}) as (_, environment):
        assert environment[VARIABLE] != str(pages)
        assert Path(environment[VARIABLE]).is_dir()
    assert not Path(environment[VARIABLE]).exists()
