# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat serve alerts`: the alert node without ROS, as a member of a consumer group."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.cli.arguments import assignment
from lowlat_nodes.cli.node_parameters import read_parameters
from lowlat_nodes.nodes.alert_service import AlertService, load_alert_classifier
from lowlat_nodes.nodes.alert_settings import AlertSettings
from lowlat_nodes.nodes.stop import stop_on_signals
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import build

_OF_ROS = {"publish"}  # what only the node takes
_WAIT_S = 0.1


def main(argv: Sequence[str]) -> int:
    """Classify alerts until a signal, or until recorded ones are done.

    Returns:
        0 after a clean end.
    """
    options = _parse(argv)
    parameters = read_parameters("alert", options.parameters, options.node, options.parameter)
    settings = build(AlertSettings, {k: v for k, v in parameters.items() if k.split(".")[0] not in _OF_ROS})
    with stop_on_signals(ends=True) as stop:
        processor = load_alert_classifier(settings)
        service = AlertService(settings, processor, SystemClock())
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
            while not stop.is_set() and not service.delivery.wait(_WAIT_S):
                pass
        finally:
            service.stop()
    stats = service.delivery.stats()
    print(
        f"{stats.processed} alerts, {stats.published} results, {stats.dead_letters} dead letters"
        + (f"; newest error: {stats.last_failure}" if stats.last_failure else ""),
        file=sys.stderr,
    )
    return 0


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
