# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every socket listens in one way, and that way does not let others in by mistake."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.policy.gr00t_server import Gr00tServer
from lowlat_nodes.transport.policy.openpi_server import OpenpiServer
from lowlat_nodes.transport.zmq.listening import listen, stop_listening
from lowlat_nodes.transport.zmq.packets import PacketReceiver
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.responder import Responder
from lowlat_nodes.transport.zmq.router import Router
from lowlat_nodes.transport.zmq.work_sink import WorkSink

PACKAGE = Path(__file__).resolve().parents[3] / "lowlat_nodes"


class Nothing:
    """A responder that is never asked."""

    def describe(self) -> dict[str, object]:
        return {}


SERVERS: dict[str, Callable[[str], object]] = {
    "publisher": lambda at: Publisher(at, {"a": "a"}),
    "router": lambda at: Router(at, per_client=1, max_bytes=1000, max_frames=1, keys=None, counts=Counters()),
    "packets": lambda at: PacketReceiver(at, ManualClock()),
    "work": lambda at: WorkSink(at, "work"),
    "calls": lambda at: Responder(at, {}),
    "gr00t": lambda at: Gr00tServer(Nothing(), address=at),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0", "tcp://10.1.2.3:0"])
@pytest.mark.parametrize("server", SERVERS)
def test_other_machines_are_not_listened_to_without_keys(server: str, address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"other machines can reach.*lowlat keys new NAME"):
        SERVERS[server](address)


def test_websockets_are_not_open_to_other_machines_either() -> None:
    pytest.importorskip("websockets")
    with pytest.raises(ConfigurationError, match="other machines can reach"):
        OpenpiServer(Nothing(), address="ws://0.0.0.0:0")  # type: ignore[arg-type]


def test_only_one_function_binds() -> None:
    binds = {
        str(path.relative_to(PACKAGE))
        for path in (PACKAGE / "transport").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "bind"
    }
    # The gate binds what asks it, within the process.
    assert binds <= {"transport/zmq/listening.py", "transport/zmq/gate.py"}


def test_what_has_no_keys_listens_to_others_only_if_told() -> None:
    socket = zmq.Context().socket(zmq.REP)
    counts = Counters()
    try:
        endpoint = listen(
            socket, "tcp://0.0.0.0:0", keys=None, counts=counts, max_bytes=1000, in_the_clear=True
        )
        assert endpoint.startswith("tcp://0.0.0.0:")
    finally:
        stop_listening(socket)


def test_an_address_that_is_refused_can_be_had_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("a file")
    for _ in range(3):
        with pytest.raises(ConfigurationError):
            Publisher(f"ipc://{path}", {"a": "a"})
    path.unlink()
    for _ in range(3):
        with contextlib.closing(Publisher(f"ipc://{path}", {"a": "a"})):
            assert path.is_socket()
