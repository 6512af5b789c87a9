# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the driver heard, as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.cli.demo.full.heard import HeardError, heard, read


def test_a_run_is_cut_from_its_first_light_to_its_last_alert(fake_full_run: Any) -> None:
    run = heard(fake_full_run.said)

    assert run.seconds == pytest.approx(10.0)
    assert len(run.frames) == 100
    assert len(run.results) == 20
    assert run.light_times_s("on").tolist() == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0])
    assert run.light_times_s("hit").tolist() == pytest.approx([2.3, 4.3, 6.3, 8.3])
    assert np.median(run.frame_ages_ms()) == pytest.approx(69.5)
    assert run.result_latencies_ms().tolist() == pytest.approx([6.0] * 20)


def test_a_frame_after_the_end_does_not_count(fake_full_run: Any) -> None:
    late_ns = fake_full_run.said[0]["at_ns"] + 60_000_000_000
    frame = {"capture_ns": late_ns, "published_ns": late_ns, "model_ns": 1, "detections": 0}
    fake_full_run.said.insert(-1, {"frame": frame})
    assert len(heard(fake_full_run.said).frames) == 100


def test_figures_over_time_are_those_of_the_run(fake_full_run: Any) -> None:
    run = heard(fake_full_run.said)
    times_s, ages_ms = run.series("policy_node", "age_p99_ms")
    assert times_s.tolist() == pytest.approx(range(1, 10))
    assert ages_ms.tolist() == [200.0] * 9
    assert np.isnan(run.series("policy_node", "nothing")[1]).all()
    assert run.series("nobody", "age_p99_ms")[1].size == 0
    last = run.last("policy_node")
    assert last is not None
    assert last.number("ticks") == 1200


@pytest.mark.parametrize("phase", ["playing", "settling", "done"])
def test_a_run_that_broke_off_is_refused(fake_full_run: Any, phase: str) -> None:
    said = [each for each in fake_full_run.said if each.get("phase") != phase]
    with pytest.raises(HeardError, match=f"it never was {phase}"):
        heard(said)


def test_a_damaged_record_is_refused(fake_full_run: Any, tmp_path: Path) -> None:
    folder = fake_full_run.save(tmp_path / "run")
    file = folder / "heard.jsonl"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(HeardError, match="expected the record of a run"):
        read(file)
    with pytest.raises(HeardError, match="expected the record of a run"):
        read(tmp_path / "none")
