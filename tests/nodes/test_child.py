# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Child processes: how they talk, and when they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowlat_nodes.nodes.child import start_child
from lowlat_nodes.transport.channel import ChannelClosedError


@pytest.fixture(autouse=True)
def find_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def test_a_child_talks_passes_over_signals_and_ends_with_its_channel() -> None:
    process, channel = start_child("echo_child")
    for data in (b"one", b"two"):
        channel.send(data)
        assert channel.wait(60.0)
        assert channel.receive() == data
        # Whatever stops the group must not stop a child: its parent does that, in order.
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    channel.close()
    assert process.wait(60.0) == 7


def test_the_end_of_a_child_is_noticed() -> None:
    process, channel = start_child("echo_child")
    process.kill()
    assert channel.wait(60.0)
    with pytest.raises(ChannelClosedError):
        channel.receive()
    channel.close()
    process.wait()


def test_a_module_that_is_not_there_closes_the_channel(capfd: pytest.CaptureFixture[str]) -> None:
    process, channel = start_child("no_such_child")
    assert channel.wait(60.0)
    with pytest.raises(ChannelClosedError):
        channel.receive()
    assert process.wait(60.0) == 1
    assert "no_such_child" in capfd.readouterr().err


def test_a_child_can_die_with_a_parent_that_is_killed() -> None:
    program = Path(__file__).with_name("echo_child.py")
    parent = subprocess.Popen([sys.executable, str(program), "parent"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60.0
    while _runs(child):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
