# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat serve alerts`: the alert node without ROS, as a member of a consumer group."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.alerts.alert_classifier import ALERTS
from lowlat_nodes.cli.arguments import assignment
from lowlat_nodes.cli.node_parameters import read_parameters
from lowlat_nodes.energy.guard import Guard
from lowlat_nodes.nodes.alert.service import AlertService, load_alert_classifier
from lowlat_nodes.nodes.alert.settings import AlertSettings
from lowlat_nodes.nodes.counting import open_counts
from lowlat_nodes.nodes.guards import EPOCHS, epoch_guard, explain_open
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import build

EXIT_NONE_READ = 1

_WAIT_S = 0.2
_QUIET_S = 10.0  # between two warnings of what fails


def main(argv: Sequence[str]) -> int:
    """Classify alerts until a signal, or until recorded ones are done.

    Returns:
        0 after a clean end; 1 if alerts came and none of them could be read.
    """
    options = _parse(argv)
    parameters = read_parameters("alert", options.parameters, options.node, options.parameter, guarded=True)
    settings = build(AlertSettings, parameters)
    with stop_on_signals(ends=True) as stop:
        guard = epoch_guard(settings.energy.guard)
        processor = load_alert_classifier(settings, guard)
        counts = open_counts(ALERTS, "alert")
        service = AlertService(settings, processor, SystemClock(), tell=_say, counts=counts)
        gc.collect()
        gc.freeze()  # a collection need not look at models and libraries again
        service.start()
        ready = {
            "source": service.endpoint or settings.source.kind,
            "results": service.results,
            "model": processor.classifier.name,
            "sha256": processor.classifier.sha256,
        }
        print(json.dumps(ready), flush=True)
        try:
            _watch(service, guard, stop)
        finally:
            service.stop()
    stats, results = service.delivery.stats(), processor.classes.total
    _say(
        f"{results} results, {stats.dead_letters} dead letters"
        + (f"; newest error: {stats.last_failure}" if stats.last_failure else "")
    )
    return EXIT_NONE_READ if stats.dead_letters and not results else 0


def _watch(service: AlertService, guard: Guard, stop: StopRequest) -> None:
    """Say when trouble begins and ends, and what fails otherwise, until the end."""
    trouble = failure = too_much = ""
    quiet_until_s = 0.0
    while not stop.is_set() and not service.delivery.wait(_WAIT_S):
        former, trouble = trouble, service.trouble()
        if bool(trouble) != bool(former):
            _say(f"error: {trouble}" if trouble else "going on")
        former, too_much = too_much, explain_open(guard.state(), EPOCHS)
        if too_much != former:
            _say(f"warning: {too_much}" if too_much else "no source sends too much any more")
        newest = service.delivery.stats().last_failure
        if not trouble and newest != failure and time.monotonic() >= quiet_until_s:
            failure, quiet_until_s = newest, time.monotonic() + _QUIET_S
            _say(f"warning: {newest}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat serve alerts",
        description="Classify alerts from ZeroMQ, Kafka or files, without ROS.",
        epilog="Takes the parameters of the alert node: lowlat parameters alert_node.",
    )
    parser.add_argument(
        "parameters", nargs="?", type=Path, metavar="PARAMETERS", help="ROS parameter file (none)"
    )
    parser.add_argument("--node", metavar="NAME", help="whose parameters (alert_node)")
    parser.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter, such as source.kind:=kafka",
    )  # fmt: skip
    return parser.parse_args(argv)
