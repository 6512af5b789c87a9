# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench ros` runs both variants between real processes and prints one JSON object."""

from __future__ import annotations

import json
import statistics

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.benchmarks import ros

pytestmark = pytest.mark.ros


@pytest.mark.slow
def test_it_prints_one_json_object_with_the_named_fields(
    ros_domain_id: int, capsys: pytest.CaptureFixture[str]
) -> None:
    # Longer than a loaded machine stands still: best-effort images of that time are lost.
    assert ros.main(["--json", "--trials", "1", "--seconds", "3", "--case", "image_vga_best_effort"]) == 0
    output = capsys.readouterr()
    figures = json.loads(output.out)["image_vga_best_effort"]
    assert 0.0 < figures["delivered_share"] <= 1.0
    assert 0.0 < figures["plain_rclpy_delivered_share"] <= 1.0
    assert figures["ours"]["published"] == figures["plain_rclpy"]["published"] == 90
    for variant in ("ours", "plain_rclpy"):
        assert figures[variant]["latency_p99_ms"] >= figures[variant]["latency_p50_ms"] > 0.0
    assert "1/1 ours" in output.err


def test_figures_are_medians_over_trials_and_a_p99_over_images() -> None:
    trials = [
        ros.Trial(100, [index * 1_000_000 for index in range(1, 101)], 3.0, 1.0),
        ros.Trial(100, [7_000_000] * 50, 9.0, 2.0),
        ros.Trial(100, [9_000_000] * 50, 4.0, 3.0),
    ]
    figures = ros.summarise(trials)
    assert figures["latency_p50_ms"] == statistics.median([50.5, 7.0, 9.0])
    assert figures["latency_p99_ms"] == 99.0
    assert figures["subscriber_cpu_ms_per_image"] == 4.0
    assert figures["publisher_cpu_ms_per_image"] == 2.0
    assert figures["delivered_share"] == pytest.approx(200 / 300, abs=1e-3)


def test_a_variant_that_receives_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no image arrived"):
        ros.summarise([ros.Trial(10, [], float("nan"), 1.0)])
