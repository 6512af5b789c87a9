# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the whole graph for a time: `lowlat up` with its nodes, and a driver that hears them."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.demo.energy import MEMORY, used
from lowlat_nodes.cli.demo.full import parameters
from lowlat_nodes.cli.demo.full.night import Night
from lowlat_nodes.cli.demo.full.process_use import ProcessUse
from lowlat_nodes.cli.demo.full.result import REPLAY
from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.cli.demo.processes import ProcessError, Processes
from lowlat_nodes.cli.demo.run import RunError, environment_of, follow, own_domain
from lowlat_nodes.cli.graph import Graph
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import VARIABLE
from lowlat_nodes.transport import leftovers

HEARD, USED, BAG, PICTURE, LETTERS = "heard.jsonl", "used.json", "bag", "picture.jpg", "dead_letters"
UP, DRIVER = "up", "driver"

_COMPLAINTS = ("[ERROR]", "[FATAL]", "given up", "refused its configuration", "crashed")
_MOST_COMPLAINTS = 8

Tell = Callable[[dict[str, Any]], None]


def run_graph(settings: FullSettings, graph: Graph, night: Night, folder: Path, tell: Tell) -> None:
    """Run a graph to the end of its time and leave all that was heard of it in `folder`.

    Args:
        settings: What to do.
        graph: The nodes.
        night: The alerts that are sent.
        folder: An existing folder for bag, records and what the processes print.
        tell: Called with everything that `nodes.drivers.graph_driver` says.

    Raises:
        RunError: If a process ended early, or something never got ready.
    """
    try:
        # In memory, for nobody but this user: sockets, the alerts, the pages of the energy sampler.
        with (
            tempfile.TemporaryDirectory(prefix="lowlat_demo_", dir=MEMORY) as private,
            own_domain() as domain,
        ):
            _run(settings, graph, night, folder, Path(private), domain, tell)
    except ProcessError as error:
        raise RunError(str(error)) from error
    finally:
        leftovers.reap()


def _run(
    settings: FullSettings,
    graph: Graph,
    night: Night,
    folder: Path,
    private: Path,
    domain: int,
    tell: Tell,
) -> None:
    file = folder / parameters.FILE
    parameters.write(file, graph, _own(settings, night, folder, private))
    pages = private / "energy"
    pages.mkdir(mode=0o700)
    environment = environment_of(folder, domain) | {VARIABLE: str(pages)}
    with (
        (folder / HEARD).open("w", encoding="utf-8") as heard,
        Processes(folder, environment) as processes,
    ):
        nodes = processes.start(UP, [*_lowlat("up"), str(file), "--json", "--on-failure", "stop"])
        processes.start(DRIVER, _driver(settings, folder), piped=True)
        watch = _Watch(nodes.pid, Board(pages), settings.nodes)

        def take(said: dict[str, Any]) -> None:
            heard.write(json.dumps(said) + "\n")
            watch.hear(said)
            tell(said)

        try:
            follow(processes, take)
        except ProcessError as error:
            raise ProcessError(f"{error}{_complaints(folder)}") from error
        result = watch.result()
        # Recorder and all: each has its time to end well.
        processes.stop(UP)
        result["up"] = _outcomes(folder)
    (folder / USED).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _own(settings: FullSettings, night: Night, folder: Path, private: Path) -> parameters.Overrides:
    """Return what a run has to itself: no other on this machine is disturbed, and it disturbs none."""
    work = f"ipc://{private}/alerts"
    source = {"source.kind": "work", "source.work.endpoint": work} if REPLAY in settings.nodes else {}
    return {
        "sim_arm_node": {"lights.targets": settings.lights},
        "alert_node": {
            **source,
            "zmq.endpoint": f"ipc://{private}/results",
            "dead_letters.folder": str((folder / LETTERS).resolve()),
            "metrics.port": 0,
        },
        "alert_replay_node": {
            "path": [str(night.save(private / "night"))],
            "to": f"work:{work}",
            "loop": 1,
            "autostart": False,
        },
        "bridge_node": {"zmq.endpoint": f"ipc://{private}/bridge"},
        "energy_node": {"zmq.endpoint": "", "metrics.port": 0},
        "recorder_node": {"folder": str(folder.resolve()), "name": BAG},
    }


class _Watch:
    """Follows the use of energy, CPU time and memory, from the start of the lights to their end.

    Args:
        up: Process id of what started the nodes.
        board: Of the sampler of energy that is one of them.
        nodes: Their names.
    """

    def __init__(self, up: int, board: Board, nodes: tuple[str, ...]) -> None:
        self._use = ProcessUse(up)
        self._board = board
        self._nodes = nodes
        self._first: Figures | None = None
        self._last: Figures | None = None

    def hear(self, said: Mapping[str, Any]) -> None:
        phase = said.get("phase")
        if phase == "playing":
            self._use.begin()
            self._first = self._board.read()
        elif phase == "settling":
            self._use.end()
            self._last = self._board.read()

    def result(self) -> dict[str, Any]:
        """Return all of it, plain for JSON."""
        return {
            "use": {name: asdict(use) for name, use in self._use.result().items()},
            "energy": {name: self._energy(name) for name in self._nodes},
        }

    def _energy(self, name: str) -> dict[str, Any]:
        first, last, node = self._first, self._last, f"/{name}"
        if first is None or last is None:
            why = self._board.why or "the sampler of energy published nothing when the lights began"
            return {"kind": "unavailable", "watts": None, "meters": [], "why": why, "unit": "", "results": 0}
        before, after = first.node(node), last.node(node)
        results = 0 if after is None else after.results - (0 if before is None else before.results)
        unit = "" if after is None else after.unit
        return {
            **asdict(used(first, last, node)),
            "unit": unit,
            "results": results,
            "seconds": (last.steady_ns - first.steady_ns) * 1e-9,
        }


def _complaints(folder: Path) -> str:
    """Return what nodes said that went wrong with them, the first of it first; empty for nothing."""
    text = (folder / f"{UP}.log").read_text(encoding="utf-8", errors="replace")
    said = [line for line in text.splitlines() if any(word in line for word in _COMPLAINTS)]
    return "".join(f"\n  {line}" for line in ["what went wrong before:", *said[:_MOST_COMPLAINTS]] if said)


def _outcomes(folder: Path) -> dict[str, Any]:
    """Return how each node ended, as `lowlat up --json` says it: the one JSON object that it prints."""
    text = (folder / f"{UP}.log").read_text(encoding="utf-8", errors="replace")
    said = [line for line in text.splitlines() if line.startswith('{"clean"')]
    if not said:
        raise ProcessError("lowlat up did not end as it should; up.log says why")
    nodes: dict[str, Any] = json.loads(said[-1])["nodes"]
    return nodes


def _driver(settings: FullSettings, folder: Path) -> list[str]:
    program = [
        sys.executable,
        "-m",
        "lowlat_nodes.nodes.drivers.graph_driver",
        "--seconds",
        str(settings.seconds),
    ]
    if settings.picture:
        program += ["--camera", settings.picture, "--picture", str(folder / PICTURE)]
    return [*program, *settings.nodes]


def _lowlat(command: str) -> list[str]:
    return [sys.executable, "-m", "lowlat_nodes.cli.main", command]
