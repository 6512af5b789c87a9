# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector node: what it adds to its model, how it keeps up, how well it sees, and what INT8 gains.

Each part that has to do with ROS runs a camera and a detector node as two processes on a domain of its own.
All models are the shipped YOLOv10-N, which was trained for 320 px, also at 640 px, where frames are as large
as those of many cameras.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.benchmarks._detector_models import (
    detectors,
    judge,
    moving_shapes,
    save_frames,
    shape_images,
    write_large,
)
from lowlat_nodes.benchmarks._detector_plots import draw
from lowlat_nodes.benchmarks._detector_session import DetectorSession, Offer
from lowlat_nodes.benchmarks._energy import merged
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.sim.shapes import NAMES
from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.transport import cdr
from lowlat_nodes.vision.average_precision import AveragePrecision
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.placement import Placement
from lowlat_nodes.vision.streaming_precision import StreamingPrecision

FP32, INT8 = "shapes", "shapes_int8"
_S = 1_000_000_000
_THRESHOLD, _LIMIT = 0.25, 100  # the node's own
_ROWS = 100
_REPEATS = 2000
_STREAM_HZ = 30.0


def measure_overhead(session: DetectorSession, folder: Path, scale: float) -> dict[str, Any]:
    """A frame now and then: the time from its publication to that of its detections, less the model's."""
    large = str(write_large(folder / "n640.onnx", 640))
    cases = {
        "": (large, save_frames(folder / "720.npy", 1280, 720), 12.0),
        "_320_int8": (INT8, save_frames(folder / "480.npy", 640, 480), 30.0),
    }
    figures: dict[str, Any] = {"energy": {}}
    for name, (model, frames, rate_hz) in cases.items():
        count = max(10, round(20 * rate_hz * scale))
        run = session.ours({"model": model}, Offer(frames, rate_hz, count, warm_up=10))
        ages, inference = run.published_ages_ms(), run.model_ms()
        overhead = ages - inference
        figures |= {
            f"overhead_ms{name}": _rounded(np.median(overhead)),
            f"overhead_p99_ms{name}": _rounded(np.percentile(overhead, 99)),
            f"overhead_share{name}": _rounded(np.median(overhead / ages)),
            f"model_p50_ms{name}": _rounded(np.median(inference)),
            f"stages_ms{name}": run.stages_ms(),
            f"answered{name}": f"{len(run.answers)} of {count}",
        }
        figures["energy"][f"overhead{name}"] = run.energy
    return figures


def measure_naive(session: DetectorSession, folder: Path, scale: float) -> dict[str, Any]:
    """The same model and frames at 30 Hz through a straightforward node, in turns."""
    model = write_large(folder / "n640.onnx", 640)
    offer = Offer(save_frames(folder / "720.npy", 1280, 720), 30.0, max(60, round(450 * scale)))
    ages: dict[str, list[Any]] = {"ours": [], "naive": []}
    energy = {}
    for _ in range(2):
        for name, run in (
            ("ours", session.ours({"model": str(model)}, offer)),
            ("naive", session.naive(model, _THRESHOLD, _LIMIT, offer)),
        ):
            ages[name].append(run.ages_ms())
            energy[f"naive.{name}"] = run.energy  # of the last round
    shares = [round(0.01 * number, 2) for number in range(101)]
    quantiles = {name: np.quantile(np.concatenate(rounds), shares) for name, rounds in ages.items()}
    p99 = {name: float(np.percentile(np.concatenate(rounds), 99)) for name, rounds in ages.items()}
    p50 = {name: float(np.median(np.concatenate(rounds))) for name, rounds in ages.items()}
    return {
        "speedup_vs_naive": _rounded(p99["naive"] / p99["ours"]),
        "age_p99_ms": {name: _rounded(value) for name, value in p99.items()},
        "age_p50_ms": {name: _rounded(value) for name, value in p50.items()},
        "answers": {name: sum(map(len, rounds)) for name, rounds in ages.items()},
        "age_quantiles_ms": {
            name: list(zip(shares, map(_rounded, values), strict=True)) for name, values in quantiles.items()
        },
        "energy": energy,
    }


def measure_overload(session: DetectorSession, folder: Path, scale: float) -> dict[str, Any]:
    """60 Hz offered to a model that needs longer: how old is what comes out?"""
    parameters = {"model": str(write_large(folder / "n640.onnx", 640))}
    frames = save_frames(folder / "480.npy", 640, 480)
    run = session.ours(parameters, Offer(frames, 60.0, max(120, round(900 * scale))))
    age, model = (np.percentile(times, 99) for times in (run.published_ages_ms(), run.model_ms()))
    return {
        "age_p99_over_2_inference_p99": _rounded(age / (2.0 * model)),
        "overload": {
            "offered_hz": 60.0,
            "age_p99_ms": _rounded(age),
            "inference_p50_ms": _rounded(np.median(run.model_ms())),
            "inference_p99_ms": _rounded(model),
            "answered": f"{len(run.inferences)} of {len(run.published_ns)}",
        },
        "energy": {"overload": run.energy},
    }


def measure_int8(_session: DetectorSession, _folder: Path, scale: float) -> dict[str, Any]:
    """The shipped model in floating point and in INT8, on the backend that is best for it."""
    with detectors(int8={"model": INT8}) as opened:
        best = opened["int8"].loaded.candidate
    same = {
        "backend.kind": best.backend,
        "backend.threads": best.threads,
        "backend.spinning": "always" if best.spinning else "never",
        "backend.precision": "fp32",
    }
    with detectors(fp32={"model": FP32, **same}, int8={"model": INT8, **same}) as opened:
        times: dict[str, list[int]] = {name: [] for name in opened}
        precision = {name: judge(detector, max(20, round(500 * scale))) for name, detector in opened.items()}
        (image,) = shape_images(1)
        for _ in range(max(30, round(300 * scale))):
            for name, detector in opened.items():
                detector.detect(image)
                times[name].append(detector.stages.model_ns)
    median = {name: float(np.median(values)) * 1e-6 for name, values in times.items()}
    return {
        "int8_speedup_vs_fp32": _rounded(median["fp32"] / median["int8"]),
        "int8_ap_drop": _rounded(precision["fp32"].ap - precision["int8"].ap),
        "int8": {
            "backend": best.describe(),
            "model_p50_ms": {name: _rounded(value) for name, value in median.items()},
            "ap": {name: _rounded(found.ap) for name, found in precision.items()},
        },
    }


def measure_shapes(session: DetectorSession, folder: Path, scale: float) -> dict[str, Any]:
    """How well the shipped model sees, still and streaming: judged when its answer is there."""
    count = max(20, round(1000 * scale))
    with detectors(shipped={"model": FP32}) as opened:
        still = judge(opened["shipped"], count)
    streaming = [_stream(session, folder, seed, 240) for seed in range(max(1, round(6 * scale)))]
    return {
        "shapes_ap50": _rounded(still.ap50),
        "shapes_ap": _rounded(still.ap),
        "shapes_streaming_ap": _rounded(float(np.mean([each["streaming_ap"] for each in streaming]))),
        "shapes": {
            "frames": still.frames,
            "ap_small": _rounded(still.ap_small),
            "ap_medium": _rounded(still.ap_medium),
            "ap_large": _rounded(still.ap_large),
            "by_class": {name: _rounded(value) for name, value in still.by_class.items()},
            "offline_ap_of_the_streams": _rounded(float(np.mean([each["ap"] for each in streaming]))),
            "streaming_ap50": _rounded(float(np.mean([each["streaming_ap50"] for each in streaming]))),
            "age_p50_ms": _rounded(float(np.mean([each["age_p50_ms"] for each in streaming]))),
        },
    }


def measure_postprocess(_session: DetectorSession, _folder: Path, _scale: float) -> dict[str, Any]:
    """From the model's output to boxes in px of the source, and to the bytes of a message."""
    rows = np.zeros((1, 300, 6), np.float32)
    random = np.random.default_rng(0)
    rows[0, :, :2] = random.uniform(150, 350, (300, 2))  # of 640, where the image is
    rows[0, :, 2:4] = rows[0, :, :2] + random.uniform(10, 100, (300, 2))
    rows[0, :_ROWS, 4] = np.sort(random.uniform(0.3, 1.0, _ROWS))[::-1]
    rows[0, :, 5] = random.integers(0, 80, 300)
    layout = recognise(
        {"images": TensorSpec("images", (1, 3, 640, 640), np.float32)},
        {"output0": TensorSpec("output0", (1, 300, 6), np.float32)},
        {"names": str({number: f"class {number}" for number in range(80)})},
    )
    placement = Placement.letterbox(1280, 720, 640, 640)
    found = layout.decode([rows], placement, 0.25, 300)
    if len(found) != _ROWS:
        raise RuntimeError(f"expected {_ROWS} detections, got {len(found)}")
    payload = Detections(found, layout.names)
    return {
        "postprocess_us": _microseconds(lambda: layout.decode([rows], placement, 0.25, 300)),
        "message_us": _microseconds(
            lambda: cdr.encode("vision_msgs/msg/Detection2DArray", 1, "camera", payload)
        ),
    }


PARTS = {
    "overhead": measure_overhead,
    "naive": measure_naive,
    "overload": measure_overload,
    "int8": measure_int8,
    "shapes": measure_shapes,
    "postprocess": measure_postprocess,
}


def _stream(session: DetectorSession, folder: Path, seed: int, length: int) -> dict[str, float]:
    """Show a stream once; judge each answer by its own frame, and what is there by each moment's truth."""
    stream, period_ns = moving_shapes(seed), round(_S / _STREAM_HZ)
    path = folder / "stream.npy"
    np.save(path, np.stack([stream.frame(number * period_ns).image for number in range(length)]))
    run = session.ours({"model": FP32, "threshold": 0.01}, Offer(path, _STREAM_HZ, length, warm_up=length))
    shown = {stamp: number for number, (stamp, _) in enumerate(run.published_ns.tolist())}
    own = AveragePrecision(NAMES)
    for (stamp, _, _), rows in zip(run.answers, run.rows(NAMES), strict=True):
        truth = stream.truth(shown[stamp] * period_ns)
        own.add(rows, truth.boxes, truth.labels, truth.ignored)
    streaming = StreamingPrecision(NAMES, run.outputs(NAMES))
    first_ns = run.published_ns[0, 1]
    for number in range(length // 10, length):
        truth = stream.truth(number * period_ns)
        streaming.add(int(first_ns + number * period_ns), truth.boxes, truth.labels, truth.ignored)
    judged = streaming.result()
    return {
        "ap": own.result().ap,
        "streaming_ap": judged.ap,
        "streaming_ap50": judged.ap50,
        "age_p50_ms": float(np.median(run.ages_ms())),
    }


def _microseconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        begin_ns = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin_ns)
    return _rounded(float(np.median(times)) * 1e-3)


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench detector", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="run only this one; repeatable")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of the number of frames; less is quicker (default: 1)"
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the figures as SVG there")
    options = parser.parse_args(argv)
    for model in (FP32, INT8):
        resources.model(model)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = DetectorSession(folder)
        for part in options.part or PARTS:
            print(f"{part}: {PARTS[part].__doc__}", file=sys.stderr, flush=True)
            figures = merged(figures, PARTS[part](session, folder, options.scale))
    if options.plots:
        draw(figures, options.plots)
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        print(json.dumps(figures | {"machine": machine}))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
