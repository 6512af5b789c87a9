# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line of `lowlat demo`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.cli.demo import report
from lowlat_nodes.cli.demo.energy import RunEnergy
from lowlat_nodes.cli.demo.lights import lights_within
from lowlat_nodes.cli.demo.machine import load_machine, save_machine
from lowlat_nodes.cli.demo.recording import read_bag
from lowlat_nodes.cli.demo.result import Check, StrategyResult, checks, comparison, evaluate
from lowlat_nodes.cli.demo.run import BAG, RunError, own_domain, run_strategy
from lowlat_nodes.cli.demo.settings import LEAST_TARGETS, DemoSettings
from lowlat_nodes.cli.demo.table import LiveTable
from lowlat_nodes.cli.demo.ways import COMPARED, NAMES
from lowlat_nodes.nodes.parameter_file import Value, parameters_of, read
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError, MissingExtra

QUICK_TARGETS, THOROUGH_TARGETS = 24, 200
REPORT, RESULT = "report.html", "result.json"

_NEEDED = (("rclpy", "ros"), ("mujoco", "sim"), ("matplotlib", "viz"))
_OF_COMPARISON = ("targets", "strategies", "seed", "inference_delay_ms", "images")


def main(argv: Sequence[str]) -> int:
    """Run `lowlat demo`.

    Args:
        argv: The arguments after `demo`.

    Returns:
        0 if the loop was closed with every strategy as the checks demand, 1 otherwise.

    Raises:
        ConfigurationError: If an argument is wrong; nothing was started then.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.full:
        _refuse(options, parser, *_OF_COMPARISON)
        return _main_full(options)
    if options.score is not None:
        settings, folder = DemoSettings.load(options.score), options.score
        problems: list[str] = []
    else:
        _require(*_NEEDED)
        params_file = options.params_file or resources.path("config", "demo.yaml")
        settings = _settings(options, params_file)
        folder = _new_folder(options)
        settings.save(folder)
        with _sigterm_as_interrupt():
            problems = _run(settings, folder, params_file)
    return _conclude(settings, folder, problems, as_json=options.json)


def _main_full(options: argparse.Namespace) -> int:
    """Run the whole graph, or read the records of such a run again."""
    from lowlat_nodes.cli.demo.full import command as full

    if options.score is not None:
        return full.conclude(options.score, [], as_json=options.json)
    _require(*_NEEDED)
    prepared = full.prepare(options.params_file, full.SECONDS if options.seconds is None else options.seconds)
    folder = _new_folder(options)
    with _sigterm_as_interrupt():
        problems = full.run(*prepared, folder)
    return full.conclude(folder, problems, as_json=options.json)


def _new_folder(options: argparse.Namespace) -> Path:
    """Return the folder of a new run, with what this machine is in it."""
    folder: Path = options.out or Path("out") / time.strftime("demo-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(f"--out: expected a new or empty folder, got {folder}")
    save_machine(folder)
    return folder


def _refuse(options: argparse.Namespace, parser: argparse.ArgumentParser, *names: str) -> None:
    """Refuse options of the comparison where none is made."""
    given = [name for name in names if getattr(options, name) != parser.get_default(name)]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigurationError(f"expected no {words} with --full: it compares nothing")


def _run(settings: DemoSettings, folder: Path, params_file: Path) -> list[str]:
    """Run every strategy and return what went wrong."""
    table = LiveTable(sys.stderr, settings.strategies)
    table.begin()
    problems = [_run_one(name, settings, folder / name, params_file, table) for name in settings.strategies]
    return [problem for problem in problems if problem]


def _run_one(name: str, settings: DemoSettings, folder: Path, params_file: Path, table: LiveTable) -> str:
    """Run one strategy and return what went wrong, if anything did."""
    folder.mkdir()
    try:
        with own_domain() as domain:
            run_strategy(name, settings, folder, params_file, domain, partial(table.hear, name))
    except RunError as error:
        return str(error)
    return ""


def _conclude(settings: DemoSettings, folder: Path, problems: Sequence[str], *, as_json: bool) -> int:
    """Score the bags, write result and report, and say what came out."""
    machine = load_machine(folder)
    scored = {name: _score(name, folder) for name in settings.strategies}
    results = {name: result for name, result in scored.items() if isinstance(result, StrategyResult)}
    failed = [result for result in scored.values() if isinstance(result, Check)]
    found = [*(Check(False, problem) for problem in problems), *failed, *checks(settings, results)]
    passed = all(check.passed for check in found)
    outcome = {
        "ok": passed,
        "strategies": {name: result.figures() for name, result in results.items()},
        "comparison": comparison(results),
        "checks": [{"passed": check.passed, "sentence": check.sentence} for check in found],
        "settings": asdict(settings),
        "machine": machine,
    }
    text = json.dumps(outcome, indent=None if as_json else 2)
    (folder / RESULT).write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    if results:
        page = report.render(settings, results, found, machine, _command(settings))
        (folder / REPORT).write_text(page, encoding="utf-8")
    if as_json:
        print(text)
    _say(results, found, folder)
    return 0 if passed else 1


def _score(name: str, folder: Path) -> StrategyResult | Check:
    try:
        return evaluate(name, read_bag(folder / name / BAG), RunEnergy.load(folder / name))
    except (LowlatError, ValueError) as error:
        return Check(False, f"{name}: its bag cannot be scored: {error}")


def _say(results: Mapping[str, StrategyResult], found: Sequence[Check], folder: Path) -> None:
    out = sys.stderr
    print(file=out)
    for check in found:
        if not check.passed:
            print(f"failed: {check.sentence}", file=out)
    if results:
        print(f"{report.verdict(results, [check for check in found if not check.passed])}.", file=out)
        for sentence in report.sentences(results):
            print(sentence, file=out)
        print(f"Report: {(folder / REPORT).resolve()}", file=out)


def _settings(options: argparse.Namespace, params_file: Path) -> DemoSettings:
    """Return what the command line and the parameter file make together."""
    sections = read(params_file)

    def rate(node: str, name: str) -> float:
        value = parameters_of(node, sections).get(name)
        if not isinstance(value, int | float):
            raise ConfigurationError(f"{params_file}: expected a number for {name} of {node}, got {value!r}")
        return float(value)

    return DemoSettings(
        strategies=tuple(options.strategies),
        targets=_targets(options, parameters_of("/sim_arm_node", sections)),
        seed=options.seed,
        inference_delay_ms=options.inference_delay_ms,
        record_images=options.images,
        tick_hz=rate("/policy_node", "tick_hz"),
        joint_rate_hz=rate("/sim_arm_node", "joint_rate_hz"),
        image_rate_hz=rate("/sim_arm_node", "image_rate_hz"),
    )


def _targets(options: argparse.Namespace, simulation: Mapping[str, Value]) -> int:
    """Return how many lights each strategy gets."""
    if options.seconds is None:
        return options.targets or (THOROUGH_TARGETS if options.json else QUICK_TARGETS)
    if options.targets is not None:
        raise ConfigurationError("expected --seconds or --targets, got both")
    targets = lights_within(options.seconds, simulation, seed=options.seed)
    if targets < LEAST_TARGETS:
        raise ConfigurationError(
            f"--seconds {options.seconds:g}: expected time for {LEAST_TARGETS} lights, got it for {targets}; "
            "fewer cannot be scored. Let each strategy have about 2 s for a light"
        )
    return targets


def _require(*modules: tuple[str, str]) -> None:
    """Find out before a run, not after it, that something is not installed."""
    for module, extra in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra)


def _command(settings: DemoSettings) -> str:
    """Return the command line that does the same again."""
    words = ["lowlat", "demo", "--targets", str(settings.targets), "--seed", str(settings.seed)]
    words += ["--inference-delay-ms", f"{settings.inference_delay_ms:g}"]
    if settings.strategies != COMPARED:
        words += ["--strategies", *settings.strategies]
    if not settings.record_images:
        words.append("--no-images")
    return shlex.join(words)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that every process is ended."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowlat demo",
        description="Run a policy whose inference is slow on a simulated arm in several ways, compare them, "
        "and write a report. The arm must touch lights that go on at random places and times. With --full it "
        "does so in one way, beside a detector, a classifier of alerts, a bridge and a recorder.",
    )
    add = parser.add_argument
    add(
        "--json",
        action="store_true",
        help=f"{THOROUGH_TARGETS} targets unless told otherwise, and one JSON object on standard output",
    )
    add(
        "--full",
        action="store_true",
        help="all nodes as one graph, and a report of how they did",
    )
    add("--seconds", type=float, help="length of each run, instead of --targets; with --full: 120")
    add("--targets", type=int, help=f"lights to be touched; {QUICK_TARGETS} without --json")
    add("--strategies", nargs="+", default=COMPARED, metavar="NAME", help=f"of {', '.join(NAMES)}")
    add("--seed", type=int, default=1, help="of the lights and of the policy's noise")
    add("--inference-delay-ms", type=float, default=150.0, help="what each inference takes at least")
    add("--images", action=argparse.BooleanOptionalAction, default=True, help="record the camera")
    add(
        "--params-file", type=Path,
        help="ROS parameters; default: the shipped config/demo.yaml, with --full config/full.yaml",
    )  # fmt: skip
    add("--out", type=Path, help="folder for bags and report; default: out/demo-TIME")
    add("--score", type=Path, metavar="DIR", help="run nothing, score the bags of this folder again")
    return parser
