# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench detector` runs real nodes and prints one JSON object; here with few frames."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("skimage")

from lowlat_nodes.benchmarks import detector
from lowlat_nodes.benchmarks._detector_plots import draw
from lowlat_nodes.benchmarks._detector_session import Run

pytestmark = [pytest.mark.ros, pytest.mark.torch]

FEW = ["--json", "--scale", "0.02"]


def figures(capsys: pytest.CaptureFixture[str], *parts: str) -> dict[str, object]:
    selected = [word for part in parts for word in ("--part", part)]
    assert detector.main([*FEW, *selected]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_frame_is_taken_apart_into_its_stages(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    found = figures(capsys, "overhead")
    for name in ("", "_320_int8"):
        overhead, share = found[f"overhead_ms{name}"], found[f"overhead_share{name}"]
        assert isinstance(overhead, float)
        assert isinstance(share, float)
        assert overhead > 0.0
        assert 0.0 < share < 1.0
        stages = found[f"stages_ms{name}"]
        assert isinstance(stages, dict)
        assert min(stages.values()) > 0.0


def test_postprocessing_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "postprocess")
    assert found.keys() == {"postprocess_us", "message_us", "machine"}


def test_int8_is_compared_on_one_backend(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "int8")
    assert {"int8_speedup_vs_fp32", "int8_ap_drop", "int8"} < found.keys()
    details = found["int8"]
    assert isinstance(details, dict)
    assert details["ap"].keys() == details["model_p50_ms"].keys() == {"fp32", "int8"}


def test_ages_are_those_of_the_frames_that_were_answered() -> None:
    told = {
        "capture_ns": 1_000_000,
        "received_ns": 4_000_000,
        "dequeued_ns": 4_500_000,
        "published_ns": 12_000_000,
        "prepare_ns": 1_000_000,
        "model_ns": 5_000_000,
        "decode_ns": 250_000,
    }
    run = Run(
        np.array([[1_000_000, 2_000_000], [40_000_000, 41_000_000]]),
        [(1_000_000, 14_000_000, [[0.0, 0.0, 1.0, 1.0, 0.5, "star"]])],
        [told],
        {},
    )
    assert run.ages_ms().tolist() == [12.0]
    assert run.published_ages_ms().tolist() == [10.0]
    assert run.stages_ms() == {
        "transport": 2.0,
        "wake_up": 0.5,
        "prepare": 1.0,
        "model": 5.0,
        "decode": 0.25,
        "publish": 1.25,
    }
    (output,) = run.outputs(["disc", "star"])
    assert output.published_ns == 14_000_000
    assert output.rows.tolist() == [[0.0, 0.0, 1.0, 1.0, 0.5, 1.0]]


def test_plots_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    stages = dict.fromkeys(("transport", "wake_up", "prepare", "model", "decode", "publish"), 1.0)
    ages = {name: [[0.0, 1.0], [1.0, 5.0]] for name in ("ours", "naive")}
    written = draw({"stages_ms": stages, "stages_ms_320_int8": stages, "age_quantiles_ms": ages}, tmp_path)
    assert [path.name for path in written] == ["detector_stages.svg", "detector_ages.svg"]
    assert all(path.read_text(encoding="utf-8").startswith("<?xml") for path in written)
    assert draw({}, tmp_path) == []


def test_the_environment_is_left_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    figures(capsys, "postprocess")
    assert os.environ == before
