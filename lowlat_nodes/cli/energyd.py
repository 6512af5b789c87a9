# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energyd`: the one sampler of a host, without ROS."""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lowlat_nodes.cli.meter_arguments import add_meters, meter_settings
from lowlat_nodes.cli.printable import printable
from lowlat_nodes.cli.zmq_arguments import add_server_keys, server_keys
from lowlat_nodes.energy.figures import Figures, MeterFigures
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.energy.gpu_processes import GpuProcesses
from lowlat_nodes.energy.meters.discovery import find_meters
from lowlat_nodes.energy.plain import to_plain
from lowlat_nodes.energy.sampler import RATE_HZ, Sampler, run
from lowlat_nodes.nodes.energy.metrics import energy_metrics
from lowlat_nodes.nodes.metrics import MetricsEndpoint
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.heartbeat import RUNNING, STOPPED
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.stream.payload import Record
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.trace import Trace

if TYPE_CHECKING:
    from lowlat_nodes.transport.zmq.publisher import Publisher

TOPIC = "energy"

_QUIET_S = 60.0  # between two complaints about the same


def main(argv: Sequence[str]) -> int:
    """Sample this host until SIGINT or SIGTERM, or for one window.

    Returns:
        0 after a clean end.
    """
    options = _parse(argv)
    settings = meter_settings(options)
    with stop_on_signals(ends=True) as stop, contextlib.ExitStack() as opened:
        folder = energy_folder()
        found = find_meters(settings)
        sampler = Sampler(found.meters, found.missing, folder, GpuProcesses())
        opened.callback(sampler.close)
        meters = "1 meter" if len(found.meters) == 1 else f"{len(found.meters)} meters"
        print(f"samples {meters} for the nodes of {folder}", flush=True)
        log = _Log(sampler)
        publisher = _publisher(options)
        if publisher is not None:
            opened.callback(publisher.close)
            print(f"publishes {TOPIC} at {publisher.endpoint}", flush=True)
        if options.metrics is not None:
            endpoint = MetricsEndpoint(
                lambda: energy_metrics(log.newest), options.metrics_host, options.metrics
            )
            opened.callback(endpoint.close)
            print(f"figures for Prometheus at {options.metrics_host}:{endpoint.port}/metrics", flush=True)

        def published(figures: Figures) -> None:
            log.hear(figures)
            if publisher is not None:
                publisher.write(_message(figures))

        gc.collect()
        gc.freeze()  # a collection need not look at libraries again
        gc.set_threshold(10_000)  # nor look often: windows leave no cycles
        _sample(sampler, published, publisher, stop, options)
    return 0


def _sample(
    sampler: Sampler,
    published: Callable[[Figures], None],
    publisher: Publisher | None,
    stop: StopRequest,
    options: argparse.Namespace,
) -> None:
    """Sample until the end, with the heartbeats of this loop."""
    windows = 0
    pulse = Pulse("energyd", publisher.beat if publisher is not None else None)
    pulse.begin(lambda error: _say(f"warning: {error}"))

    def heard(figures: Figures) -> None:
        nonlocal windows
        windows += 1
        published(figures)

    def wait(seconds: float) -> bool:
        pulse.turn(RUNNING, windows, 0)
        return (options.once and windows > 0) or stop.wait(seconds)

    run(sampler, wait, heard, options.rate)
    pulse.end(STOPPED, windows, 0)


class _Log:
    """Says what is measured, when that changes, and what is wrong with pages.

    Attributes:
        newest: The newest figures.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.newest: Figures | None = None
        self._sampler = sampler
        self._kinds: dict[str, Kind] = {}
        self._said: dict[str, int] = {}
        self._quiet_until_s = 0.0

    def hear(self, figures: Figures) -> None:
        """Take new figures."""
        if self.newest is None:
            for missing in figures.missing:
                print(f"missing: {printable(missing.name)}: {printable(missing.why)}")
        self.newest = figures
        for meter in figures.meters:
            if self._kinds.get(meter.name) is not meter.kind:
                self._kinds[meter.name] = meter.kind
                print(_line(meter))
        sys.stdout.flush()
        wrong = {**self._sampler.refused, **self._sampler.counts.snapshot()}
        if wrong != self._said and time.monotonic() >= self._quiet_until_s:
            self._said, self._quiet_until_s = wrong, time.monotonic() + _QUIET_S
            _say("warning: passed over: " + ", ".join(f"{why} ({count})" for why, count in wrong.items()))


def _line(meter: MeterFigures) -> str:
    known = f"{meter.watts:.1f} W" if meter.kind is not Kind.UNAVAILABLE else meter.why
    why = f"; {meter.why}" if meter.kind is Kind.MODELLED else ""
    fake = f" (fake: {meter.fake})" if meter.fake else ""
    return printable(f"{meter.name}{fake}: {meter.kind.value}: {known}{why}")


def _publisher(options: argparse.Namespace) -> Publisher | None:
    keys = server_keys(options)
    if not options.zmq:
        return None
    from lowlat_nodes.transport.zmq.publisher import Publisher

    return Publisher(options.zmq, {TOPIC: TOPIC}, keys=keys, latched=[TOPIC])


def _message(figures: Figures) -> Message:
    trace = Trace(capture_ns=figures.time_ns, published_ns=time.time_ns())
    return Message(TOPIC, Record(to_plain(figures)), trace)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rate(text: str) -> float:
    rate_hz = float(text)
    if not 1.0 <= rate_hz <= 100.0:
        raise argparse.ArgumentTypeError(f"expected 1 to 100, got {text}")
    return rate_hz


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat energyd",
        description="Sample the meters of this host, once for all nodes, and say who used how much.",
        epilog="Nodes meet it in a folder: $LOWLAT_ENERGY_DIR, else /run/lowlat_energy, else this user's.",
    )
    parser.add_argument("--zmq", default="", metavar="ENDPOINT", help=f"publish the topic {TOPIC} there")
    add_server_keys(parser)
    parser.add_argument(
        "--metrics", type=int, metavar="PORT", help="port of figures for Prometheus; 0 takes a free one"
    )
    parser.add_argument(
        "--metrics-host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen for that (%(default)s)",
    )
    parser.add_argument(
        "--rate", type=_rate, default=RATE_HZ, metavar="HZ", help="samples a second (%(default)g)"
    )
    add_meters(parser)
    parser.add_argument("--once", action="store_true", help="end after the first window, of a second")
    return parser.parse_args(argv)
