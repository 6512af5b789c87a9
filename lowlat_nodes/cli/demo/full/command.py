# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What `lowlat demo --full` does with its arguments."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.cli.demo.full import heard, night, report
from lowlat_nodes.cli.demo.full.live import LiveGraph
from lowlat_nodes.cli.demo.full.night import Night, account, dead_letters, load_identities
from lowlat_nodes.cli.demo.full.result import CAMERA, DETECTOR, RECORDER, REPLAY, FullResult, read_bag
from lowlat_nodes.cli.demo.full.run import BAG, HEARD, LETTERS, PICTURE, USED, run_graph
from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.cli.demo.lights import lights_within
from lowlat_nodes.cli.demo.machine import load_machine
from lowlat_nodes.cli.demo.result import Check
from lowlat_nodes.cli.demo.run import RunError
from lowlat_nodes.cli.graph import Graph, config_type, load
from lowlat_nodes.nodes.parameter_file import parameters_of
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError

SECONDS = 120.0
REPORT, RESULT = "report.html", "result.json"

_NEEDED = ("sim_arm_node", "policy_node")


def prepare(params_file: Path | None, seconds: float) -> tuple[FullSettings, Graph, Night]:
    """Read the parameter file and make out what a run will do.

    Raises:
        ConfigurationError: If a node would refuse its parameters, or one that is needed is missing.
        MissingExtra: If a library that a node needs is not installed.
    """
    graph = load(params_file or resources.path("config", "full.yaml"))
    names = [process.node.lstrip("/") for process in graph.nodes]
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        wanted = " and ".join(missing)
        raise ConfigurationError(f"expected {wanted} in the parameter file, got {', '.join(names)}")
    _require_messages(names)
    graph.check()
    lights = lights_within(seconds, parameters_of("/sim_arm_node", graph.sections))
    alerts = _night(graph, seconds) if REPLAY in names else Night()
    settings = FullSettings(seconds, lights, len(alerts.packets), tuple(names), _camera(graph))
    return settings, graph, alerts


def run(settings: FullSettings, graph: Graph, alerts: Night, folder: Path) -> list[str]:
    """Run the graph and return what went wrong."""
    settings.save(folder)
    night.save_identities(alerts, folder)
    try:
        run_graph(settings, graph, alerts, folder, LiveGraph(sys.stderr, settings.seconds).hear)
    except RunError as error:
        return [str(error)]
    return []


def conclude(folder: Path, problems: list[str], *, as_json: bool) -> int:
    """Read the records of a run, write result and report, and say what came out.

    Returns:
        0 if all was as it should be, 1 otherwise.
    """
    settings = FullSettings.load(folder)
    machine = load_machine(folder)
    found = [Check(False, problem) for problem in problems]
    result: FullResult | None = None
    if not problems:
        try:
            result = evaluate(settings, folder)
        except (LowlatError, OSError, ValueError, KeyError) as error:
            found.append(Check(False, f"the records of the run cannot be read: {error}"))
        else:
            found += result.checks()
    passed = all(check.passed for check in found)
    outcome = {
        "ok": passed,
        **(result.figures() if result else {}),
        "checks": [asdict(check) for check in found],
        "settings": asdict(settings),
        "machine": machine,
    }
    (folder / RESULT).write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    if result is not None:
        picture = folder / PICTURE
        page = report.render(
            result, found, machine, _command(settings), picture.read_bytes() if picture.is_file() else b""
        )
        (folder / REPORT).write_text(page, encoding="utf-8")
    if as_json:
        print(json.dumps(outcome))
    _say(result, found, folder)
    return 0 if passed else 1


def evaluate(settings: FullSettings, folder: Path) -> FullResult:
    """Read the records of a run.

    Raises:
        LowlatError: If they are not those of a complete run.
        OSError: The same.
        ValueError: The same.
    """
    run_heard = heard.read(folder / HEARD)
    used: Mapping[str, Any] = json.loads((folder / USED).read_text(encoding="utf-8"))
    counted = None
    if REPLAY in settings.nodes:
        last = run_heard.last(REPLAY)
        sent = load_identities(folder)[: int(last.values["sent"])] if last else ()
        received = (f"{result['survey']}:{result['alert_id']}" for result in run_heard.results)
        counted = account(sent, received, dead_letters(folder / LETTERS))
    bag = read_bag(folder / BAG) if RECORDER in settings.nodes else None
    return FullResult(settings, run_heard, counted, used["use"], used["energy"], used["up"], bag)


def _require_messages(names: Sequence[str]) -> None:
    """Find out before a run that the one package of messages is missing that is no wheel."""
    if {DETECTOR, CAMERA} & set(names) and importlib.util.find_spec("vision_msgs") is None:
        raise ConfigurationError(
            "expected the messages of vision_msgs, which cameras and detectors publish; a ROS installation "
            "gets them by `apt install ros-$ROS_DISTRO-vision-msgs`, an environment of wheels by "
            "`lowlat interfaces`"
        )


def _night(graph: Graph, seconds: float) -> Night:
    config: Any = build(config_type(REPLAY), parameters_of(f"/{REPLAY}", graph.sections))
    return Night.of(config, seconds)


def _camera(graph: Graph) -> str:
    """Return the name of the detector's first camera."""
    names = [
        name.split(".")[1]
        for name in parameters_of("/detector_node", graph.sections)
        if name.startswith("camera.")
    ]
    return names[0] if names else ""


def _say(result: FullResult | None, found: list[Check], folder: Path) -> None:
    out = sys.stderr
    print(file=out)
    for check in found:
        if not check.passed:
            print(f"failed: {check.sentence}", file=out)
    if result is not None:
        print(f"{report.verdict(result, found)}.", file=out)
        for sentence in report.sentences(result):
            print(sentence, file=out)
        print(f"Report: {(folder / REPORT).resolve()}", file=out)


def _command(settings: FullSettings) -> str:
    words = ["lowlat", "demo", "--full"]
    if settings.seconds != SECONDS:
        words += ["--seconds", f"{settings.seconds:g}"]
    return shlex.join(words)
