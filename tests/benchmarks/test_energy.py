# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench energy`: the part with simulated power in miniature, and what goes with it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.benchmarks import energy
from lowlat_nodes.benchmarks._energy_plots import draw
from lowlat_nodes.benchmarks._energy_regression import IDLE_W, NODES, TRUE_J, Case, Host


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, list[Path]]:
    """What a quick run prints, and the files that it draws."""
    folder = tmp_path_factory.mktemp("plots") / "made"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        plots = ["--plots", str(folder)] if importlib.util.find_spec("matplotlib") else []
        assert energy.main(["--json", "--quick", "--part", "regression", *plots]) == 0
    return json.loads(out.getvalue()), sorted(folder.glob("*"))


@pytest.fixture
def figures(printed: tuple[dict, list[Path]]) -> dict:
    return printed[0]


def test_the_bars_are_met_in_miniature(figures: dict) -> None:
    assert figures["simulated"] is True
    assert figures["error_60s"] <= 0.06  # of few hosts; the bar is 0.05 for many
    assert figures["error_300s"] <= 0.03
    assert figures["constant_rate_flagged"] is True
    assert figures["regression"]["flagged_share"]["constant"] == 1.0
    assert figures["regression"]["flagged_share"]["varying"] == 0.0


def test_every_figure_is_a_number_of_json(figures: dict) -> None:
    json.dumps(figures, allow_nan=False)
    assert figures["machine"]["cpus"] >= 1


def test_other_methods_are_measured_beside_it(figures: dict) -> None:
    peers = figures["regression"]["peers"]
    assert set(peers) == {
        "least_squares",
        "utilisation_share",
        "per_call_window",
        "per_call_window_less_idle",
    }
    assert all(set(found["joules"]) == {"/detector", "/policy"} for found in peers.values())
    assert min(found["error_60s"] for found in peers.values()) > figures["error_300s"]


def test_pictures(printed: tuple[dict, list[Path]]) -> None:
    pytest.importorskip("matplotlib")
    paths = printed[1]
    assert [path.name for path in paths] == ["energy_course.svg", "energy_error.svg", "energy_windows.svg"]
    assert "/policy: 8.0 J in truth" in paths[0].read_text()


def test_nothing_is_drawn_without_figures(tmp_path: Path) -> None:
    assert draw({}, tmp_path) == []


def test_a_host_has_the_truth_that_it_says() -> None:
    windows = Host(Case(noise=0.0), seed=3, seconds=200.0).windows()
    seconds, joules, *results = windows.sum(0)
    assert len(windows) == 200
    assert joules == pytest.approx(IDLE_W * seconds + TRUE_J @ np.array(results), rel=2e-3)


def test_the_counter_is_the_same_however_often_it_is_read() -> None:
    host = Host(Case(), seed=1, seconds=20.0)
    times_s = np.arange(0.0, 20.0, 0.037)
    np.testing.assert_allclose(host.read_at(times_s)[::5], host.read_at(times_s[::5]))


def test_nodes_differ_in_power_as_in_energy() -> None:
    detector, policy = NODES.values()
    assert detector.joules / detector.busy_s < policy.joules / policy.busy_s
