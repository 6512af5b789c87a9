# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What `lowlat dash` costs: its own CPU time and memory, and what the nodes that it shows use more.

Simulated arm and policy, camera and detector, and alerts run on a ROS domain of their own. Three ways take
turns: without `lowlat dash`, with it while nobody looks, and with a client that reads what a browser reads:
the snapshots, and each new picture of each camera.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.benchmarks._ros_session import ros_session

WAYS = ("without", "idle", "watched")
NODES = (
    ("sim_arm_node", "demo.yaml", ""),
    ("policy_node", "demo.yaml", ""),
    ("shapes_camera_node", "detector_demo.yaml", "/vision"),
    ("detector_node", "detector_demo.yaml", "/vision"),
    ("alert_node", "alerts_demo.yaml", ""),
)
"""Module, parameter file and namespace of each."""

_TICK_HZ = os.sysconf("SC_CLK_TCK")
_MB = 1 << 20
_SETTLE_S = 3.0
_READY_S = 300.0


@dataclass(frozen=True)
class Trial:
    """What one run of one way took; percents are of one core.

    Attributes:
        nodes_percent: CPU time of all nodes.
        dash_percent: That of `lowlat dash`, 0 without it.
        dash_mb: Its resident memory.
        dash_cpu_s: Its CPU time.
        snapshots: How many the client got.
        snapshot_bytes: The size of the last one.
        pictures: How many the client got.
    """

    nodes_percent: float
    dash_percent: float = 0.0
    dash_mb: float = 0.0
    dash_cpu_s: float = 0.0
    snapshots: int = 0
    snapshot_bytes: int = 0
    pictures: int = 0


class Client:
    """Reads what a browser reads, in a thread, until it is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self.snapshots = self.snapshot_bytes = self.pictures = 0
        self.names: set[str] = set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the page."""
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        shown: dict[int, int] = {}
        pictures = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60.0)
        events = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60.0)
        with contextlib.closing(pictures), contextlib.closing(events):
            events.request("GET", "/events")
            for line in iter(events.getresponse().readline, b""):
                if self._ended.is_set():
                    return
                if not line.startswith(b"data: "):
                    continue
                snapshot = json.loads(line[6:])
                self.snapshots += 1
                self.snapshot_bytes = len(line)
                self.names = {node["name"] for node in snapshot["nodes"]}
                for camera in snapshot["cameras"]:
                    if camera["sequence"] and camera["sequence"] != shown.get(camera["index"]):
                        shown[camera["index"]] = camera["sequence"]
                        pictures.request("GET", f"/camera/{camera['index']}.jpg")
                        self.pictures += bool(pictures.getresponse().read())


@contextlib.contextmanager
def nodes(environment: dict[str, str]) -> Iterator[list[int]]:
    """Run the nodes; yield their process ids."""
    with contextlib.ExitStack() as cleanup:
        processes = []
        for module, file, namespace in NODES:
            command = [sys.executable, "-m", f"lowlat_nodes.nodes.{module}", "--ros-args"]
            command += [
                "--params-file",
                str(resources.path("config", file)),
                "-r",
                f"__ns:={namespace or '/'}",
            ]
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            cleanup.callback(process.wait)
            cleanup.callback(process.terminate)
            processes.append(process.pid)
        yield processes


@contextlib.contextmanager
def dash(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Run `lowlat dash`; yield its process id and port."""
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "dash", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        found = re.search(r":(\d+)/", greeting)
        if found is None:
            raise RuntimeError(f"lowlat dash said {greeting!r}")
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.wait()


def run(way: str, running: Sequence[int], environment: dict[str, str], seconds: float) -> Trial:
    """Measure one way for some seconds."""
    if way == "without":
        time.sleep(_SETTLE_S)
        return Trial(_percent(running, seconds)[0])
    with dash(environment) as (pid, port), contextlib.ExitStack() as cleanup:
        client = cleanup.enter_context(contextlib.closing(Client(port))) if way == "watched" else None
        time.sleep(_SETTLE_S)
        counts = (client.snapshots, client.pictures) if client else (0, 0)
        nodes_percent, dash_percent = _percent(running, seconds, pid)
        memory = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return Trial(
            nodes_percent,
            dash_percent,
            int(memory) * os.sysconf("SC_PAGE_SIZE") / _MB,
            dash_percent * 0.01 * seconds,
            client.snapshots - counts[0] if client else 0,
            client.snapshot_bytes if client else 0,
            client.pictures - counts[1] if client else 0,
        )


def wait_for_nodes(environment: dict[str, str]) -> None:
    """Wait until all nodes report."""
    deadline_s = time.monotonic() + _READY_S
    wanted = {f"{namespace}/{module}" for module, _, namespace in NODES}
    with dash(environment) as (_, port), contextlib.closing(Client(port)) as client:
        while not wanted <= client.names:
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"of {sorted(wanted)} only {sorted(client.names)} report")
            time.sleep(0.2)


def summarise(trials: Sequence[Trial]) -> dict[str, float]:
    """Return the medians of one way."""
    return {
        name: round(statistics.median(getattr(trial, name) for trial in trials), 2)
        for name in Trial.__dataclass_fields__
        if name != "dash_cpu_s"
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench dash", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--trials", type=int, default=3, help="runs of each way (default: 3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one (default: 10)")
    options = parser.parse_args(argv)
    trials: dict[str, list[Trial]] = {way: [] for way in WAYS}
    energy = {way: Metered() for way in WAYS[1:]}
    with ros_session(), tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LOWLAT_ENERGY_DIR": folder}
        with nodes(environment) as running:
            wait_for_nodes(environment)
            for number in range(options.trials):
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    with energy.get(way, contextlib.nullcontext()):
                        trial = run(way, running, environment, options.seconds)
                    trials[way].append(trial)
                    print(
                        f"{number + 1}/{options.trials} {way:7} percent of a core: "
                        f"nodes {trial.nodes_percent:5.1f}, dash {trial.dash_percent:4.1f}",
                        file=sys.stderr,
                    )
    figures: dict[str, Any] = {way: summarise(found) for way, found in trials.items()}
    figures["energy"] = {
        way: metered.plain(
            "second", round(options.trials * options.seconds), sum(trial.dash_cpu_s for trial in trials[way])
        )
        for way, metered in energy.items()
    }
    if options.json:
        print(
            json.dumps(figures | {"machine": {"cpus": os.cpu_count(), "python": platform.python_version()}})
        )
    else:
        for way in WAYS:
            for name, value in figures[way].items():
                print(f"{way}.{name}: {value}")
    return 0


def _percent(running: Sequence[int], seconds: float, dash_pid: int = 0) -> tuple[float, float]:
    """Return the CPU time of the nodes and of `lowlat dash` over some seconds, in percents of a core."""
    trees = {pid for root in running for pid in _tree(root)}
    start_s = time.monotonic()
    before = {pid: _ticks(pid) for pid in (*trees, dash_pid)}
    time.sleep(seconds)
    elapsed_s = time.monotonic() - start_s
    used = {pid: (_ticks(pid) - ticks) / _TICK_HZ for pid, ticks in before.items()}
    of_dash = used.pop(dash_pid)
    return 100.0 * sum(used.values()) / elapsed_s, 100.0 * of_dash / elapsed_s


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield from _tree(int(child))


def _ticks(pid: int) -> int:
    if not pid:
        return 0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main())
