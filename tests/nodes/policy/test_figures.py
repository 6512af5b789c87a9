# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The latencies of the tick process: what is reported when."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.nodes.policy.figures import Figures

MS = 1_000_000
NAMES = {"tick_late", "publish_late", "state_age", "inference", "observation_age"}


def test_each_report_brings_one_histogram_up_to_date() -> None:
    figures = Figures()
    for _ in range(len(NAMES)):
        found = figures.quantiles_ms()
    assert found.keys() == NAMES
    figures.tick_late.record(3 * MS)
    figures.state_age.record(5 * MS)
    fresh = [figures.quantiles_ms()["tick_late"][3] for _ in range(len(NAMES))]
    assert sorted(set(fresh)) in ([3.0], [0.0, 3.0])
    assert fresh[-1] == 3.0
    assert figures.quantiles_ms()["state_age"] == [5.0] * 4


def test_corrections_are_reported_where_there_are_any() -> None:
    figures = Figures(corrected=True)
    for name in ("correction", "correction_age"):
        getattr(figures, name).record(2 * MS)
    for _ in range(len(NAMES) + 2):
        found = figures.quantiles_ms()
    assert found.keys() == NAMES | {"correction", "correction_age"}
    assert found["correction_age"] == [2.0] * 4


def test_an_activation_begins_anew() -> None:
    figures = Figures()
    figures.publish_late.record(7 * MS)
    for _ in range(len(NAMES)):
        figures.quantiles_ms()
    figures.launch.record(40.0, 9000.0)
    assert figures.launch.values()["launch.bound"] == "gpu"
    figures.clear()
    assert figures.launch.values() == {}
    for _ in range(len(NAMES)):
        found = figures.quantiles_ms()
    assert found["publish_late"] == [0.0] * 4


def test_windows_hold_the_newest_full_second() -> None:
    figures = Figures()
    second = 1_000_000_000
    assert figures.window_ms(5 * second) == {}
    figures.record_inference(20 * MS)
    assert figures.window_ms(5 * second + 900 * MS) == {}
    found = figures.window_ms(6 * second)
    assert found.keys() == {"inference"}
    assert found["inference"] == pytest.approx([20.0] * 4, rel=0.01)
    figures.record_takeover(80 * MS)
    assert figures.window_ms(6 * second + 900 * MS) == found
    assert figures.window_ms(7 * second)["observation_age"] == pytest.approx([80.0] * 4, rel=0.01)
    assert figures.window_ms(8 * second) == {}
    # Since the activation, all of them count.
    assert (figures.inference.count, figures.observation_age.count) == (1, 1)
