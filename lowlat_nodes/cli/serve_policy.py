# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat serve policy`: any policy that the policy node can load, for clients of known protocols."""

from __future__ import annotations

import argparse
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lowlat_nodes.cli.arguments import assignment
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import blank_observation
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.energy.settings import GuardOnly
from lowlat_nodes.nodes import parameter_file
from lowlat_nodes.nodes.counting import CHUNK, Counts, open_counts
from lowlat_nodes.nodes.guards import step_guard
from lowlat_nodes.stream.config import build, section
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.token import read_token
from lowlat_nodes.transport.policy.connect import connect
from lowlat_nodes.transport.policy.process_client import ProcessClient
from lowlat_nodes.transport.policy.serve import SERVERS, PolicyServer, make_server

if TYPE_CHECKING:
    from lowlat_nodes.transport.zmq.publisher import Publisher

_OURS = ("policy.", "energy.guard.")


@dataclass(frozen=True)
class _Served:
    policy: PolicyConfig = section(PolicyConfig, doc="The policy.")
    energy: GuardOnly = section(GuardOnly, doc="What one request may cost.")


def main(argv: Sequence[str]) -> int:
    """Load a policy, run it once, and serve it until SIGINT or SIGTERM.

    Returns:
        0 after a signal.
    """
    options = _parse(argv)
    served = build(_Served, _parameters(options))
    config = served.policy
    token = read_token(options.token_file)
    policy = load_policy(config, connect, ProcessClient)
    guard = step_guard(served.energy.guard, policy.spec)
    responder = _Counted(
        PolicyResponder(policy, config.remote.request_form(policy.spec.images), guard),
        open_counts(_name(config), CHUNK),
    )
    policy.infer(blank_observation(policy.spec))
    server = make_server(
        options.protocol,
        responder,
        host=options.host,
        port=options.port,
        token=token,
        insecure_bind=options.insecure_bind,
        path=options.socket,
        key_file=options.key_file,
        allow=options.allow,
    )
    with _heart(options) as heart, _closed_by_signals(server):
        where = f", heartbeats at {heart.endpoint}" if heart is not None else ""
        print(f"serving {_name(config)} at {server.address} ({options.protocol}){where}", flush=True)
        server.serve(Pulse(_name(config), heart.beat if heart is not None else None))
    state = guard.state()
    counts = server.counts() | ({"cut": state.cuts} if state.cuts else {})
    print(", ".join(f"{name} {count}" for name, count in counts.items()) or "nobody asked")
    return 0


class _Counted:
    """A responder whose answers are counted for the energy sampler of this host."""

    def __init__(self, responder: PolicyResponder, counts: Counts) -> None:
        self._responder = responder
        self._counts = counts

    def describe(self) -> Mapping[str, Any]:
        return self._responder.describe()

    def respond(self, request: Mapping[str, Any], client: str = "") -> Mapping[str, Any]:
        self._counts.begin()
        answer = self._responder.respond(request, client)
        self._counts.done()
        return answer

    def reset(self) -> None:
        self._responder.reset()


@contextmanager
def _heart(options: argparse.Namespace) -> Iterator[Publisher | None]:
    """Open the publisher of heartbeats, if somebody is to hear them."""
    if not options.heartbeat:
        yield None
        return
    from lowlat_nodes.transport.zmq.curve import load_server_keys
    from lowlat_nodes.transport.zmq.publisher import Publisher

    keys = load_server_keys(options.key_file, options.allow) if options.key_file else None
    publisher = Publisher(options.heartbeat, {}, keys=keys)
    try:
        yield publisher
    finally:
        publisher.close()


@contextmanager
def _closed_by_signals(server: PolicyServer) -> Iterator[None]:
    """Close the server on SIGINT and SIGTERM.

    A thread does it: a handler would run in the main thread, which may be just about to wait for a request.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def close() -> None:
        if reader.recv(1):
            server.close()

    closing = threading.Thread(target=close, name="close_on_signal")
    closing.start()
    former = {number: signal.signal(number, _do_nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    former_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(former_fd)
        for number, handler in former.items():
            signal.signal(number, handler)
        writer.close()
        closing.join()
        reader.close()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Let the descriptor tell of a signal."""


def _name(config: PolicyConfig) -> str:
    return {
        "onnx": config.model,
        "torch": config.model,
        "lerobot": config.lerobot.directory,
        "python": config.factory,
        "remote": config.remote.address,
    }[config.kind]


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters that count here, from the file, then from the command line."""
    found: dict[str, Any] = {}
    if options.parameters:
        sections = parameter_file.read(options.parameters)
        if not any(section.matches(f"/{options.node}") for section in sections):
            raise ConfigurationError(f"{options.parameters}: expected parameters of a node {options.node!r}")
        found |= parameter_file.parameters_of(f"/{options.node}", sections)
    found |= {name: parameter_file.value(text) for name, text in options.parameter}
    wrong = [name for name, _ in options.parameter if not name.startswith(_OURS)]
    if wrong:
        raise ConfigurationError(f"-p: expected parameters that begin with {' or '.join(_OURS)}, got {wrong}")
    return {name: value for name, value in found.items() if name.startswith(_OURS)}


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat serve policy",
        description="Serve a policy to clients of a known protocol.",
        epilog="Of the parameters of a policy node, those below policy. and energy.guard. count.",
    )
    parser.add_argument(
        "parameters",
        nargs="?",
        type=Path,
        metavar="PARAMETERS",
        help="ROS parameter file (the shipped policy)",
    )
    parser.add_argument("--protocol", required=True, metavar="NAME", help=", ".join(SERVERS))
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_port, help="0 takes a free one (the usual one of the protocol)")
    parser.add_argument(
        "--socket", default="", metavar="PATH", help="Unix socket instead of host and port; path or name"
    )
    parser.add_argument("--token-file", default="", metavar="FILE", help="what clients must know; chmod 600")
    parser.add_argument(
        "--insecure-bind", action="store_true",
        help="listen to other machines although nothing is encrypted; needs --token-file",
    )  # fmt: skip
    parser.add_argument(
        "--key", "--key-file", dest="key_file", default="", metavar="NAME",
        help="keys of this server by name (lowlat keys new) or secret file, for lowlat and --heartbeat",
    )  # fmt: skip
    parser.add_argument(
        "--allow", action="append", default=[], metavar="KEY",
        help="public key of a client that may come in, or a name or file of it (as lowlat keys allow says)",
    )  # fmt: skip
    parser.add_argument(
        "--heartbeat", default="", metavar="ENDPOINT",
        help="where lowlat top --zmq sees whether the loop that answers goes round (nowhere)",
    )  # fmt: skip
    parser.add_argument(
        "--node", default="policy_node", metavar="NAME", help="whose parameters (policy_node)"
    )
    parser.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter, such as policy.model:=reach_flow",
    )  # fmt: skip
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)
