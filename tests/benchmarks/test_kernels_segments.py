# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.benchmarks import _kernels_segments as segments


def run(p99_ms: float, long_per_s: float) -> segments.Run:
    return segments.Run([p99_ms] * 100, long_per_s, 70.0, 3.0, 3.5, 3.2)


def test_the_headline_takes_the_worse_load_and_ratios_of_pairs() -> None:
    runs = {
        ("fifo", "saturated"): [run(70.0, 14.0), run(80.0, 10.0), run(72.0, 14.0)],
        ("fifo", "paced"): [run(60.0, 8.4)] * 3,
        ("edf", "saturated"): [run(71.0, 14.0)] * 3,
        ("edf", "paced"): [run(61.0, 8.4)] * 3,
        ("segmented", "saturated"): [run(4.0, 13.3), run(9.0, 9.9), run(5.0, 13.58)],
        ("segmented", "paced"): [run(3.0, 8.4)] * 3,
    }
    found = segments._headline(runs)
    assert (found["control_p99_ms"], found["fifo_p99_ms"], found["edf_unsegmented_p99_ms"]) == (
        5.0,
        72.0,
        71.0,
    )
    assert found["throughput_ratio"] == pytest.approx(0.97)
    assert (found["blocking_bound_ms"], found["blocking_worst_ms"]) == (3.5, 3.2)
    assert found["ok"]
    runs["segmented", "paced"] = [run(6.1, 8.4)] * 3
    assert not segments._headline(runs)["ok"]


def test_two_processes_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "LONG_S", 5e-3)
    with segments._nodes(tmp_path) as nodes:
        found = nodes.run("segmented", "saturated", 0.2)
        assert len(found.responses_ms) == 10  # one each 20 ms
        assert found.long_per_s > 0.0
        assert 0.0 < found.segment_ms < found.long_ms
        assert nodes.run("fifo", "saturated", 0.1).bound_ms == 0.0
    assert list(tmp_path.iterdir()) == []


def test_a_policy_beside_a_long_job_of_one_piece_is_refused(tmp_path: Path) -> None:
    assert "cut long into segments of at most" in segments._refusal(tmp_path, 30.0)


def test_nothing_is_measured_on_a_gpu() -> None:
    assert segments.measure(quick=True, device="cuda") == {}
