# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector that is given half of its natural power, beside a robot that is to notice nothing.

Real are the nodes (camera, detector with the model that ships, arm, policy with its tick), their counts, the
sampler, its board and the budget. Power is simulated: each detection costs so much on a simulated GPU, whose
counter moves every 100 ms with 3 % noise above a constant idle power.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.benchmarks._ros_session import ros_session
from lowlat_nodes.benchmarks._svg import svg_pyplot
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.sampler import Sampler
from lowlat_nodes.energy.tally_reader import TallyReader
from lowlat_nodes.sim.power import SimulatedMeter

_DETECTOR, _POLICY = "/detector_node", "/policy_node"
_RESULT_J, _IDLE_W, _RESULT_NS = 1.5, 10.0, 20_000_000
_CAMERA_HZ = 15.0
_SAMPLE_S, _FEED_S = 0.1, 0.02
_WITHIN = 0.1
_SETTLED_IN_S = 30.0
_MEAN_S, _STEP_S = 5.0, 0.5
_STAYS_S = 20.0
_STAYED = 0.9  # of the time after; a busy machine may keep the detector from its work for some seconds
_IDLE_S = 25.0
_KNOWS = 0.25
_PATIENCE_S = 120.0
_END_S = 15.0
_MS_ALLOWED, _TIMES_ALLOWED = 0.2, 1.5


@dataclass
class Power:
    """The true power over time: what results cost when they were counted.

    Attributes:
        times_s: When results were counted, steady clock.
        joules: What they cost.
    """

    times_s: list[float] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)

    def watts(self, at_s: float, mean_s: float) -> float:
        """Return the mean power of a time that ends at an instant."""
        times = np.array(self.times_s)
        return float(np.array(self.joules)[(times > at_s - mean_s) & (times <= at_s)].sum()) / mean_s


class SimulatedHost:
    """Samples the nodes of a folder, on a GPU that is made up: its energy and busy time follow their counts.

    Attributes:
        power: Of the detector, as it is.
        published: The detector's power as the sampler published it, with the time.
    """

    why: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.power = Power()
        self.published: list[tuple[float, float]] = []
        self._busy_ns: dict[tuple[str, int], int] = {}
        self._reader = TallyReader(folder)
        self._meter = SimulatedMeter(_IDLE_W)
        self._sampler = Sampler([self._meter], (), folder, self, name="benchmark")
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._feed, self._sample)]
        for thread in self._threads:
            thread.start()

    def knows(self) -> bool:
        """Return whether the sampler tells idle power from the detector's by now."""
        if not self.published:
            return False
        at_s, watts = self.published[-1]
        return abs(watts / max(self.power.watts(at_s, _MEAN_S), 1e-9) - 1.0) < _KNOWS

    def read(self) -> Mapping[tuple[str, int], int]:
        """Return how long the detector has kept the GPU busy."""
        return dict(self._busy_ns)

    def close(self) -> None:
        """End; a no-op for the sampler, which calls it too."""
        if threading.current_thread() in self._threads or self._stop.is_set():
            return
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._sampler.close()

    def _feed(self) -> None:
        """Spend energy on each result."""
        counted = 0
        while not self._stop.wait(_FEED_S):
            self._reader.scan()
            for page in self._reader.read():
                if page.node != _DETECTOR or not page.processes:
                    continue
                total = sum(counts.finished for counts in page.counts.values())
                if total > counted:
                    joules, counted = _RESULT_J * (total - counted), total
                    self._meter.spend(joules)
                    self._busy_ns["gpu0", page.processes[0].pid] = total * _RESULT_NS
                    self.power.times_s.append(time.monotonic())
                    self.power.joules.append(joules)
        self._reader.close()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            figures = self._sampler.sample()
            if figures is not None:
                self._note(figures)

    def _note(self, figures: Figures) -> None:
        node = figures.node(_DETECTOR)
        if node is not None and node.watts:
            self.published.append((figures.steady_ns * 1e-9, sum(node.watts.values())))


class Nodes:
    """The processes, and what they report.

    Args:
        folder: For parameter files.
    """

    def __init__(self, folder: Path) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor

        self.values: dict[str, dict[str, str]] = {}
        self._node = rclpy.create_node("energy_benchmark")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 50)
        path = folder / "nodes.yaml"
        path.write_text(yaml.safe_dump(_parameters()), encoding="utf-8")
        arguments = ["--ros-args", "--params-file", str(path), "--log-level", "error"]
        # The arm has a camera of its own.
        remapped = {"shapes_camera_node": ["-r", "camera/image:=shapes/image"]}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", f"lowlat_nodes.nodes.{name}", *arguments, *remapped.get(name, [])]
            )
            for name in ("shapes_camera_node", "detector_node", "sim_arm_node", "policy_node")
        ]

    def set_budget(self, watts: float) -> None:
        """Give the detector a budget, while it works."""
        from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
        from rcl_interfaces.srv import SetParameters

        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=watts)
        request = SetParameters.Request(parameters=[Parameter(name="energy.budget.w", value=value)])
        self._call(SetParameters, f"{_DETECTOR}/set_parameters", request)

    def renew_tick_figures(self) -> None:
        """Have the policy node begin its figures anew."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request()
            request.transition.id = transition
            self._call(ChangeState, f"{_POLICY}/change_state", request)

    def tick(self) -> dict[str, float]:
        """Return how late ticks were since their figures began."""
        values = self.values[_POLICY]
        return {
            "p50_ms": float(values["tick_late_p50_ms"]),
            "p99_ms": float(values["tick_late_p99_ms"]),
            "ticks": int(values["ticks"]),
            "stalls": int(values["stalls"]),
        }

    def spin(self, seconds: float) -> None:
        """Let time pass."""
        end_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end_s)

    def wait(self, condition: Callable[[], object]) -> None:
        """Spin until something is the case."""
        give_up_s = time.monotonic() + _PATIENCE_S
        while not condition():
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"a node ended with status {process.returncode}: {process.args}")
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"no progress within {_PATIENCE_S:g} s; last reports: {self.values}")
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """End all of them."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            _end(process)
        self._executor.shutdown()
        self._node.destroy_node()

    def _call(self, kind: Any, name: str, request: Any) -> None:
        client = self._node.create_client(kind, name)
        self.wait(client.service_is_ready)
        future = client.call_async(request)
        self.wait(future.done)
        self._node.destroy_client(client)

    def _hear(self, message: Any) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            self.values[values.get("node", status.name)] = values


@dataclass(frozen=True)
class Run:
    """What happened.

    Attributes:
        power: The true power.
        published: The same as the sampler had it.
        begun_s: When the detector worked; with `budget_s`, when it got its budget, and `end_s`.
        natural_w: Its power until then.
        budget_w: Half of that.
        ticks: How late they were: before the budget, while it was kept, and after it was lifted.
        told: What the detector said of its budget in the end.
    """

    power: Power
    published: list[tuple[float, float]]
    begun_s: float
    budget_s: float
    end_s: float
    natural_w: float
    budget_w: float
    ticks: tuple[dict[str, float], dict[str, float], dict[str, float]]
    told: str

    def within(self) -> NDArray[np.bool_]:
        """Return for each half second with a budget whether the power was within 10 % of it."""
        times_s = np.arange(self.budget_s, self.end_s, _STEP_S)
        watts = np.array([self.power.watts(at_s, _MEAN_S) for at_s in times_s])
        return np.asarray(np.abs(watts / self.budget_w - 1.0) <= _WITHIN)

    def settle_s(self) -> float:
        """Return after what time the power was within 10 % for 20 s; infinite for never."""
        within, steps = self.within(), round(_STAYS_S / _STEP_S)
        for first in range(len(within) - steps + 1):
            if within[first : first + steps].all():
                return first * _STEP_S
        return float("inf")

    def within_share(self) -> float:
        """Return the part of the time since it settled in which it was within 10 %; 0 for never."""
        settle_s = self.settle_s()
        return float(self.within()[round(settle_s / _STEP_S) :].mean()) if np.isfinite(settle_s) else 0.0

    def disturbed(self) -> bool:
        """Return whether ticks were later with the budget than without, by more than they vary anyway."""
        before, during, after = self.ticks
        usual_ms = max(before["p99_ms"], after["p99_ms"])
        return during["p99_ms"] > _TIMES_ALLOWED * usual_ms + _MS_ALLOWED


def run(seconds: float, hold_s: float) -> Run:
    """Let the nodes work without a budget, with one, and without.

    Args:
        seconds: How long without, before and after.
        hold_s: How long with one.
    """
    with ros_session() as folder, ExitStack() as undo:
        energy = folder / "energy"
        energy.mkdir(mode=0o700)
        undo.enter_context(_environment(LOWLAT_ENERGY_DIR=str(energy), XDG_CACHE_HOME=str(folder)))
        host = SimulatedHost(energy)
        undo.callback(host.close)
        # Before anybody works, as on a robot: rates that never vary cannot tell idle power from work later.
        time.sleep(_IDLE_S)
        nodes = Nodes(folder)
        undo.callback(nodes.close)
        nodes.wait(lambda: host.power.times_s and nodes.values.get(_POLICY, {}).get("served") == "chunk")
        nodes.spin(5.0)  # the first calls of everything
        nodes.wait(host.knows)
        begun_s = time.monotonic()
        nodes.renew_tick_figures()
        nodes.spin(seconds)
        before, natural_w = nodes.tick(), host.power.watts(time.monotonic(), seconds)
        nodes.set_budget(natural_w / 2.0)
        budget_s = time.monotonic()
        nodes.renew_tick_figures()
        nodes.spin(hold_s)
        during, end_s, told = nodes.tick(), time.monotonic(), nodes.values[_DETECTOR]["energy.budget"]
        nodes.set_budget(0.0)
        nodes.renew_tick_figures()
        nodes.spin(seconds)
        after = nodes.tick()
        return Run(
            power=host.power,
            published=list(host.published),
            begun_s=begun_s,
            budget_s=budget_s,
            end_s=end_s,
            natural_w=natural_w,
            budget_w=natural_w / 2.0,
            ticks=(before, during, after),
            told=told,
        )


def fields(done: Run) -> dict[str, Any]:
    """Return the figures of a run."""
    settle_s, disturbed = done.settle_s(), done.disturbed()
    after_s = done.budget_s + min(settle_s, _SETTLED_IN_S)
    ratio = done.power.watts(done.end_s, done.end_s - after_s) / done.budget_w
    published = [watts for at_s, watts in done.published if after_s < at_s <= done.end_s]
    before, during, after = done.ticks
    return {
        "power": f"simulated: {_RESULT_J} J a detection, {_IDLE_W:g} W idle, 3 % noise, 100 ms counter",
        "natural_w": round(done.natural_w, 2),
        "budget_w": round(done.budget_w, 2),
        "settle_s": round(settle_s, 1) if np.isfinite(settle_s) else None,
        "within_share": round(done.within_share(), 3),
        "watts_ratio": round(ratio, 3),
        "published_ratio": round(float(np.mean(published)) / done.budget_w, 3) if published else None,
        "told": done.told,
        "tick_without": before,
        "tick_with": during,
        "tick_without_again": after,
        "tick_disturbed": disturbed,
        "ok": bool(
            settle_s <= _SETTLED_IN_S
            and done.within_share() >= _STAYED
            and abs(ratio - 1.0) <= _WITHIN
            and not disturbed
        ),
    }


def measure(quick: bool) -> dict[str, Any]:
    """Return how soon a detector keeps to half of its natural power, and what the tick noticed of it."""
    return {"budget": fields(run(15.0, 45.0) if quick else run(60.0, 120.0))}


def plot(done: Run, path: Path) -> None:
    """Draw power over time as an SVG file."""
    with svg_pyplot() as plt:
        figure, axes = plt.subplots(figsize=(7.0, 2.8))
        seconds = np.arange(done.begun_s + 2.0, done.power.times_s[-1], 0.5)
        axes.plot(
            [at_s - done.budget_s for at_s, _ in done.published],
            [watts for _, watts in done.published],
            color="#bbbbbb",
            label="as the sampler has it, each second",
        )
        axes.plot(
            seconds - done.budget_s,
            [done.power.watts(at_s, 2.0) for at_s in seconds],
            color="#1f77b4",
            label="of the results that were made, mean of 2 s",
        )
        axes.axhspan(0.9 * done.budget_w, 1.1 * done.budget_w, color="#2ca02c", alpha=0.15, lw=0.0)
        axes.plot([0.0, done.end_s - done.budget_s], [done.budget_w] * 2, color="#2ca02c", label="budget")
        axes.set_xlim(seconds[0] - done.budget_s, seconds[-1] - done.budget_s)
        axes.set_ylim(0.0, 1.25 * done.natural_w)
        axes.set_xlabel("s after the budget was set")
        axes.set_ylabel("W (simulated)")
        axes.legend(frameon=False, loc="lower left")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _parameters() -> dict[str, Any]:
    """Return the parameters of all nodes: the robot of the demo, and a detector before simulated shapes."""
    demo = yaml.safe_load(resources.path("config", "demo.yaml").read_text(encoding="utf-8"))
    nodes = {name.rpartition("/")[2]: each["ros__parameters"] for name, each in demo.items()}
    for each in nodes.values():
        each["energy"] = {"enabled": False}
    nodes["policy_node"]["diagnostic_updater"] = {"period": 0.2}
    nodes["shapes_camera_node"] = {
        "rate_hz": _CAMERA_HZ,
        "width_px": 320,
        "height_px": 240,
        "scale": 1.0,
        "backgrounds": "drawn",
        "energy": {"enabled": False},
    }
    nodes["detector_node"] = {
        "model": "shapes",
        "backend": {"kind": "onnxruntime", "threads": 1, "spinning": "never"},
        "camera": {"shapes": {"topic": "shapes/image"}},
        "diagnostic_updater": {"period": 0.2},
    }
    return {name: {"ros__parameters": each} for name, each in nodes.items()}


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(**values: str) -> Any:
    """Return a context in which variables are set, here and in what is started."""
    stack = ExitStack()
    for name, value in values.items():
        former = os.environ.get(name)
        os.environ[name] = value
        if former is None:
            stack.callback(os.environ.pop, name)
        else:
            stack.callback(os.environ.__setitem__, name, former)
    return stack


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the fields and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, help="SVG file to draw power over time into")
    parser.add_argument("--seconds", type=float, default=30.0, help="without a budget, before and after")
    parser.add_argument("--hold", type=float, default=60.0, help="with one")
    options = parser.parse_args(argv)
    done = run(options.seconds, options.hold)
    print(json.dumps(fields(done)))
    if options.plot is not None:
        plot(done, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
