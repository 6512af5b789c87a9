# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line of `lowlat dash`, and its loop."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lowlat_nodes.cli.dash.assets import FOLDER, read_assets
from lowlat_nodes.cli.dash.events import Events
from lowlat_nodes.cli.dash.feed import Feed
from lowlat_nodes.cli.dash.history import History
from lowlat_nodes.cli.dash.server import DashServer
from lowlat_nodes.cli.dash.view import View
from lowlat_nodes.cli.processes import Processes
from lowlat_nodes.cli.reports import Reports
from lowlat_nodes.cli.zmq_arguments import add_watched, client_keys
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.transport.loopback import is_loopback

if TYPE_CHECKING:
    from lowlat_nodes.nodes.watch.watch import Watch

TOKEN_VARIABLE = "LOWLAT_DASH_TOKEN"  # noqa: S105
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104
_TURN_S = 0.1
_SNAPSHOT_S = 0.5


def main(argv: Sequence[str]) -> int:
    """Run `lowlat dash` until it is asked to stop; return 0."""
    options = _parser().parse_args(argv)
    keys = client_keys(options, len(options.zmq))
    token = options.token
    if token is None:
        token = os.environ.get(TOKEN_VARIABLE, "") or (
            "" if is_loopback(options.host) else secrets.token_urlsafe(24)
        )
    assets = read_assets(options.page)
    watch_type = _watch_type(needed=not options.zmq)
    if watch_type is not None:
        from lowlat_nodes.transport.ros.process import keep_output_clean

        keep_output_clean()
    with stop_on_signals() as stop, contextlib.ExitStack() as cleanup:
        processes = Processes(options.zmq, keys)
        cleanup.callback(processes.close)
        reports = Reports(SteadyClock())
        feed, history, events = Feed(), History(), Events()
        view = View(reports, processes, feed, history, events)
        server = DashServer(
            options.host,
            options.port,
            token,
            assets=assets,
            feed=feed,
            history=view.history,
            picture=view.picture,
        )
        server.start()
        cleanup.callback(server.close)
        if watch_type is not None:
            watch = watch_type(reports.hear, options.topic)
            cleanup.callback(watch.close)
            view.look_through(watch)
        print(f"lowlat dash: {_address(options.host, server.port, token)}", flush=True)
        _run(view, stop)
    return 0


def _run(view: View, stop: StopRequest) -> None:
    """Listen, and make snapshots and points of the history when they are due."""
    snapshot_s = point_s = time.monotonic()
    while not stop.is_set():
        view.listen(_TURN_S, stop)
        now_s = time.monotonic()
        if now_s >= point_s:
            point_s = max(point_s + 1.0, now_s)
            view.remember()
        if now_s >= snapshot_s:
            snapshot_s = max(snapshot_s + _SNAPSHOT_S, now_s)
            view.tell()


def _address(host: str, port: int, token: str) -> str:
    name = platform.node() if host in _ANY else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def _watch_type(*, needed: bool) -> type[Watch] | None:
    try:
        from lowlat_nodes.nodes.watch.watch import Watch
    except ModuleNotFoundError as error:
        if needed:
            raise MissingExtra(error.name or "rclpy", "ros") from error
        return None
    return Watch


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowlat dash",
        description="Serve a live page of nodes, graph, cameras, arms and alerts; it only reads.",
    )
    parser.add_argument("--port", type=_port, default=8088, help="where to listen; 0 takes a free port")
    parser.add_argument(
        "--host", default="127.0.0.1",
        help="address to listen at; with one that other machines can reach, the page needs a token",
    )  # fmt: skip
    parser.add_argument(
        "--token", metavar="TEXT",
        help=f"what others must bring (or {TOKEN_VARIABLE}); one is made where other machines can connect",
    )  # fmt: skip
    parser.add_argument(
        "--page", type=Path, default=FOLDER, metavar="FOLDER", help="a page of your own in place of ours"
    )
    add_watched(parser)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)
