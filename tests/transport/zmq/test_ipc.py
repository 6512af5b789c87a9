# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Unix sockets: other users cannot reach them, the living keep theirs, and the dead leave theirs."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.abandoned import FOLDER
from lowlat_nodes.transport.zmq import ipc
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.endpoint import check_endpoint
from lowlat_nodes.transport.zmq.packets import PacketReceiver, PacketSender

PATIENCE_S = 60.0

_DIES = """
import os, sys
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.transport.zmq.packets import PacketReceiver
receiver = PacketReceiver(sys.argv[1], ManualClock())
print("listens", flush=True)
sys.stdin.read()
os._exit(1)
"""


@contextlib.contextmanager
def receiving(endpoint: str, keys: ServerKeys | None = None) -> Iterator[PacketReceiver]:
    with contextlib.closing(PacketReceiver(endpoint, ManualClock(), server=keys)) as receiver:
        yield receiver


def exchange(receiver: PacketReceiver, keys: ClientKeys | None = None, endpoint: str = "") -> None:
    """Send a packet and take it."""
    sender = PacketSender(endpoint or receiver.endpoint, keys=keys)
    sender.send(Packet(b"packet"), PATIENCE_S)
    assert receiver.poll(1, PATIENCE_S)
    sender.close(linger_s=0.0)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_name_is_a_path_in_the_users_folder(runtime: Path) -> None:
    with receiving("ipc://alerts") as receiver:
        assert receiver.endpoint == f"ipc://{runtime}/lowlat/alerts"
        assert mode(runtime / "lowlat") == 0o700
        assert mode(runtime / "lowlat" / "alerts") == 0o600
        exchange(receiver, endpoint="ipc://alerts")


def test_without_a_runtime_folder_the_name_is_in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(ipc, "_TEMPORARY", tmp_path)
    assert check_endpoint("ipc://alerts") == f"ipc://{tmp_path}/lowlat-{os.geteuid()}/alerts"
    assert mode(tmp_path / f"lowlat-{os.geteuid()}") == 0o700


@pytest.mark.parametrize("trap", ["link", "open", "file", "other"])
def test_a_folder_that_somebody_else_has_prepared_is_refused(runtime: Path, trap: str) -> None:
    folder = runtime / "lowlat"
    if trap == "link":
        (runtime / "theirs").mkdir(mode=0o700)
        folder.symlink_to(runtime / "theirs")
    elif trap == "file":
        folder.touch()
    else:
        folder.mkdir(mode=0o700)
        if trap == "open":
            folder.chmod(0o711)
        elif os.geteuid() == 0:
            os.chown(folder, 12345, -1)
        else:
            pytest.skip("only root can give folders away")
    with pytest.raises(ConfigurationError, match=r"expected a folder|others may enter"):
        check_endpoint("ipc://alerts")
    with pytest.raises(ConfigurationError, match=r"expected a folder|others may enter"):
        PacketSender("ipc://alerts")


@pytest.mark.parametrize("place", ["missing", "file", "others"])
def test_a_runtime_folder_that_cannot_be_had_is_said(
    runtime: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runtime / "file").touch()
    given = runtime / place
    if place == "others":  # even root cannot make anything there
        given = Path("/proc/self/fdinfo")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(given))
    with pytest.raises(ConfigurationError, match="XDG_RUNTIME_DIR"):
        check_endpoint("ipc://alerts")


def test_a_folder_that_is_missing_is_created_for_us_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with receiving(f"ipc://{tmp_path}/new/alerts") as receiver:
            assert mode(tmp_path / "new") == 0o700
            exchange(receiver)
    finally:
        os.umask(before)


@pytest.mark.parametrize("permissions", [0o755, 0o711, 0o710, 0o750])
def test_a_folder_that_others_may_enter_is_refused(permissions: int) -> None:
    with tempfile.TemporaryDirectory() as name:  # those above it are open
        folder = Path(name)
        folder.chmod(permissions)
        with pytest.raises(ConfigurationError, match=f"chmod 700 {folder}"):
            PacketReceiver(f"ipc://{folder}/alerts", ManualClock())


def test_a_folder_in_one_that_others_cannot_enter_may_be_open(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with receiving(f"ipc://{tmp_path}/open/alerts") as receiver:
        exchange(receiver)


def test_everybodys_folder_is_refused_without_keys() -> None:
    with pytest.raises(ConfigurationError, match="lowlat keys new"):
        PacketReceiver(f"ipc://{FOLDER}/lowlat-test-{os.getpid()}", ManualClock())


def test_with_keys_other_users_may_connect(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server, friend = new_pair(), new_pair()
    with receiving(f"ipc://{tmp_path}/alerts", ServerKeys(server, frozenset({friend.public}))) as receiver:
        assert mode(tmp_path / "alerts") == 0o666
        exchange(receiver, ClientKeys(friend, server.public))


def test_a_folder_that_others_may_write_is_refused_even_with_keys(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    keys = ServerKeys(new_pair(), frozenset({new_pair().public}))
    with pytest.raises(ConfigurationError, match="chmod go-w"):
        PacketReceiver(f"ipc://{tmp_path}/alerts", ManualClock(), server=keys)


def test_the_socket_of_a_living_process_is_not_taken(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alerts"
    with receiving(endpoint) as receiver:
        with pytest.raises(ConfigurationError, match=f"process {os.getpid()} of uid"):
            PacketReceiver(endpoint, ManualClock())
        exchange(receiver)


def test_the_socket_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alerts"
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        with pytest.raises(ConfigurationError, match=f"process {process.pid} "):
            PacketReceiver(endpoint, ManualClock())
        process.stdin.close()
        process.wait()
    assert (tmp_path / "alerts").is_socket()
    with receiving(endpoint) as receiver:
        exchange(receiver)


def test_of_many_that_start_at_once_one_gets_the_path(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alerts"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "alerts"))
    listener.close()  # a dead one, which each of them would take over
    gate = threading.Barrier(8)
    got: list[PacketReceiver] = []
    refused: list[str] = []

    def start() -> None:
        gate.wait()
        try:
            got.append(PacketReceiver(endpoint, ManualClock()))
        except ConfigurationError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (receiver,) = got
    with contextlib.closing(receiver):
        assert len(refused) == 7
        assert all("listens there" in text for text in refused)
        exchange(receiver)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "alerts"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "precious").write_text("precious")
        path.symlink_to(tmp_path / "precious")
    else:
        path.write_text("precious")
    with pytest.raises(ConfigurationError, match="another file"):
        PacketReceiver(f"ipc://{path}", ManualClock())
    assert path.exists()
