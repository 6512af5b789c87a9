# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of a detector node and a camera, each a process of its own, and what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lowlat_nodes.vision.placement import Rows
from lowlat_nodes.vision.streaming_precision import Output

NODE, NAIVE = "detector_node", "naive_detector"
_TIMEOUT_S = 600.0
_END_S = 20.0

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Offer:
    """What the camera shows.

    Attributes:
        frames: A .npy file, uint8 [n, height, width, 3].
        rate_hz: How often.
        count: How many frames count.
        warm_up: How many come before.
    """

    frames: Path
    rate_hz: float
    count: int
    warm_up: int = 30


@dataclass(frozen=True)
class Run:
    """What came back.

    Attributes:
        published_ns: int64 [n, 2]: stamp of each frame that counts, and when it was handed to `publish`.
        answers: Stamp, arrival in ns and rows of each answer to one of these, with names for classes.
        inferences: What the node told of each; empty for the naive one.
        energy: Of its answers, those to frames of the warm-up among them.
    """

    published_ns: NDArray[np.int64]
    answers: list[tuple[int, int, list[list[Any]]]]
    inferences: list[dict[str, Any]]
    energy: dict[str, Any]

    def ages_ms(self) -> Times:
        """Return for each answer how old its frame was when the answer was back at the camera."""
        handed = dict(self.published_ns.tolist())
        return np.array([arrived - handed[stamp] for stamp, arrived, _ in self.answers]) * 1e-6

    def model_ms(self) -> Times:
        """Return how long the model took, for each frame."""
        return np.array([told["model_ns"] for told in self.inferences]) * 1e-6

    def published_ages_ms(self) -> Times:
        """Return how old each frame was when its detections had been published."""
        handed = dict(self.published_ns.tolist())
        ages = [told["published_ns"] - handed[told["capture_ns"]] for told in self.inferences]
        return np.array(ages) * 1e-6

    def stages_ms(self) -> dict[str, float]:
        """Return the median of each stage of a frame."""
        handed = dict(self.published_ns.tolist())
        rows = [
            (
                told["received_ns"] - handed[told["capture_ns"]],
                told["dequeued_ns"] - told["received_ns"],
                told["prepare_ns"],
                told["model_ns"],
                told["decode_ns"],
                told["published_ns"]
                - told["dequeued_ns"]
                - sum(told[f"{stage}_ns"] for stage in ("prepare", "model", "decode")),
            )
            for told in self.inferences
        ]
        names = ("transport", "wake_up", "prepare", "model", "decode", "publish")
        medians = np.median(np.array(rows) * 1e-6, axis=0)
        return {name: round(float(value), 3) for name, value in zip(names, medians, strict=True)}

    def rows(self, names: Sequence[str]) -> list[Rows]:
        """Return the rows of each answer, float32 [n, 6], with the numbers that classes have in `names`."""
        number = {name: index for index, name in enumerate(names)}
        return [
            np.array([[*row[:5], number[row[5]]] for row in rows], np.float32).reshape(-1, 6)
            for _, _, rows in self.answers
        ]

    def outputs(self, names: Sequence[str]) -> list[Output]:
        """Return the answers as they were available at the camera."""
        arrivals = [arrived for _, arrived, _ in self.answers]
        return [Output(*each) for each in zip(arrivals, self.rows(names), strict=True)]


class DetectorSession:
    """Starts nodes and cameras on a ROS domain of its own.

    Args:
        folder: For parameter files, logs and the cache of calibrations.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = os.environ | {
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "log"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self._environment.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

    def ours(self, parameters: Mapping[str, Any], offer: Offer) -> Run:
        """Run the detector node."""
        path = self._folder / "detector.yaml"
        path.write_text(yaml.safe_dump({NODE: {"ros__parameters": dict(parameters)}}), encoding="utf-8")
        arguments = ["--ros-args", "--params-file", str(path), "--log-level", "warn"]
        return self._run(NODE, ["lowlat_nodes.nodes.detector_node", *arguments], offer)

    def naive(self, model: Path, threshold: float, limit: int, offer: Offer) -> Run:
        """Run the straightforward one."""
        arguments = ["--model", str(model), "--threshold", str(threshold), "--limit", str(limit)]
        return self._run(NAIVE, ["lowlat_nodes.benchmarks._detector_naive", *arguments], offer)

    def _run(self, name: str, module: list[str], offer: Offer) -> Run:
        node = subprocess.Popen([sys.executable, "-m", *module], env=self._environment)
        try:
            camera = [sys.executable, "-m", "lowlat_nodes.benchmarks._detector_camera"]
            camera += ["--frames", str(offer.frames), "--rate-hz", str(offer.rate_hz), "--detector", name]
            camera += ["--count", str(offer.count), "--warm-up", str(offer.warm_up), "--pid", str(node.pid)]
            done = subprocess.run(
                camera,
                env=self._environment,
                stdout=subprocess.PIPE,
                text=True,
                timeout=_TIMEOUT_S,
                check=True,
            )
        finally:
            node.terminate()
            try:
                node.wait(_END_S)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()
        told = json.loads(done.stdout.splitlines()[-1])
        counted = {stamp for stamp, _ in told["published"]}
        return Run(
            np.array(told["published"], np.int64),
            [tuple(answer) for answer in told["answers"] if answer[0] in counted],
            [inference for inference in told["inferences"] if inference["capture_ns"] in counted],
            told["energy"],
        )
