# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images between two processes: our ROS transport beside plain rclpy.

Each trial starts a publisher and a subscriber process on a ROS domain of their own; the variants take turns.
Plain is what the defaults lead to: Fast DDS as it comes, `sensor_msgs.msg.Image` at both ends, reliable with
depth 10, or sensor data QoS where best effort is compared. Ours is `prepare_process`, `RosSink`, `RosSource`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.benchmarks._plain_ros import plain_environment, rclpy_version

VARIANTS = ("plain", "ours")
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Case:
    """A stream of rgb8 images."""

    name: str
    width: int
    height: int
    rate_hz: float
    best_effort: bool


CASES = (
    Case("image_6mb", 1920, 1080, 15.0, best_effort=False),
    Case("image_vga_best_effort", 640, 480, 30.0, best_effort=True),
)


@dataclass(frozen=True)
class Trial:
    """What one run of publisher and subscriber measured."""

    published: int
    latencies_ns: list[int]
    subscriber_cpu_ms: float
    publisher_cpu_ms: float

    def cpu_s(self) -> float:
        """Return the CPU time that all its images took at both ends."""
        taken = len(self.latencies_ns)
        spent_ms = self.publisher_cpu_ms * self.published + (self.subscriber_cpu_ms * taken if taken else 0.0)
        return spent_ms * 1e-3


def run_trial(case: Case, variant: str, seconds: float, environment: dict[str, str]) -> Trial:
    """Run publisher and subscriber once."""

    def start(role: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "lowlat_nodes.benchmarks._image_stream", role, "--variant", variant]
        command += ["--width", str(case.width), "--height", str(case.height)]
        command += ["--rate-hz", str(case.rate_hz), "--seconds", str(seconds)]
        command += ["--best-effort"] if case.best_effort else []
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    subscriber, publisher = start("subscriber"), start("publisher")
    try:
        sent = _result(publisher)
        taken = _result(subscriber)
    finally:
        for process in (subscriber, publisher):
            process.kill()
            process.wait()
    return Trial(
        sent["published"], taken["latencies_ns"], taken["cpu_ms_per_image"], sent["cpu_ms_per_image"]
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Close the input of a process, which ends a subscriber, and return what it printed last.

    Before, Fast DDS may have logged something.
    """
    output, _ = process.communicate(timeout=_TIMEOUT_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, process.args))} exited with {process.returncode}")
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def summarise(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the figures of one variant: medians over the trials, p99 over all images."""
    everything = sorted(latency for trial in trials for latency in trial.latencies_ns)
    if not everything:
        raise RuntimeError("no image arrived at all")
    return {
        "latency_p50_ms": _rounded(statistics.median(map(_median_ms, trials))),
        "latency_p50_ms_by_trial": [_rounded(_median_ms(trial)) for trial in trials],
        "latency_p99_ms": _rounded(everything[min(len(everything) - 1, len(everything) * 99 // 100)] * 1e-6),
        "subscriber_cpu_ms_per_image": _rounded(statistics.median(t.subscriber_cpu_ms for t in trials)),
        "subscriber_cpu_ms_by_trial": [_rounded(trial.subscriber_cpu_ms) for trial in trials],
        "publisher_cpu_ms_per_image": _rounded(statistics.median(t.publisher_cpu_ms for t in trials)),
        "published": sum(trial.published for trial in trials),
        "delivered_share": _rounded(len(everything) / sum(trial.published for trial in trials)),
    }


def _median_ms(trial: Trial) -> float:
    return statistics.median(trial.latencies_ns) * 1e-6 if trial.latencies_ns else float("nan")


def _rounded(value: float) -> float:
    return round(value, 4)


def measure(case: Case, trials: int, seconds: float) -> dict[str, Any]:
    """Run one case, plain and ours in turns."""
    results: dict[str, list[Trial]] = {variant: [] for variant in VARIANTS}
    energy = {variant: Metered() for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as logs:
        for number in range(trials):
            for variant in VARIANTS if number % 2 == 0 else reversed(VARIANTS):
                with energy[variant]:
                    trial = run_trial(case, variant, seconds, plain_environment(logs))
                results[variant].append(trial)
                print(
                    f"{case.name} {number + 1}/{trials} {variant:5} {_median_ms(trial):7.2f} ms, "
                    f"{trial.subscriber_cpu_ms:6.2f} ms CPU/image, "
                    f"{len(trial.latencies_ns)} of {trial.published} arrived",
                    file=sys.stderr,
                )
    plain, ours = (summarise(results[variant]) for variant in VARIANTS)

    def ratio(figure: str) -> float:
        return _rounded(ours[figure] / plain[figure])

    return {
        "latency_ratio_vs_plain_rclpy": ratio("latency_p50_ms"),
        "subscriber_cpu_ratio_vs_plain_rclpy": ratio("subscriber_cpu_ms_per_image"),
        "delivered_share": ours["delivered_share"],
        "plain_rclpy_delivered_share": plain["delivered_share"],
        "ours": ours,
        "plain_rclpy": plain,
        "width": case.width,
        "height": case.height,
        "rate_hz": case.rate_hz,
        "reliability": "best_effort" if case.best_effort else "reliable",
        "energy": {
            variant: energy[variant].plain(
                "message", sum(trial.published for trial in found), sum(trial.cpu_s() for trial in found)
            )
            for variant, found in results.items()
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench ros", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--trials", type=int, default=7, help="runs of each variant (default: 7)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one (default: 4)")
    parser.add_argument("--case", choices=[case.name for case in CASES], help="run only this one")
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {
        case.name: measure(case, options.trials, options.seconds)
        for case in CASES
        if options.case in {None, case.name}
    }
    figures["energy"] = {
        f"{name}.{variant}": spent
        for name, figure in figures.items()
        for variant, spent in figure.pop("energy").items()
    }
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "rclpy": rclpy_version()}
        print(json.dumps(figures | {"machine": machine}))
    else:
        for name, figure in figures.items():
            for key, value in figure.items():
                print(f"{name}.{key}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
