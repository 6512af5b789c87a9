# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of the processes of a node."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lowlat_nodes.cli.demo.full.process_use import ProcessUse

# Works for as much CPU time as it is told, says so, and waits for its end.
WORK = """
import sys, time
held = bytearray(32 << 20)
for line in sys.stdin:
    end = time.process_time() + float(line)
    while time.process_time() < end:
        pass
    print(len(held), flush=True)
"""


@pytest.fixture
def node() -> Iterator[subprocess.Popen[str]]:
    """A process with the command line of a node, which is a child of this one."""
    command = [sys.executable, "-c", WORK, "--ros-args", "-r", "lamp_node:__node:=lamp"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    process.wait()


def work(process: subprocess.Popen[str], seconds: float) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    process.stdout.readline()


def test_the_time_between_begin_and_end_is_counted_by_node(node: subprocess.Popen[str]) -> None:
    use = ProcessUse(os.getpid())
    work(node, 0.2)
    use.begin()
    work(node, 0.5)
    use.end()
    work(node, 0.3)

    found = use.result()["lamp"]
    elapsed_s = use._ended_s - use._began_s
    assert found.cpu * elapsed_s == pytest.approx(0.5, abs=0.06)
    assert found.memory_mb > 30.0
    assert found.processes == 1


def test_a_process_that_has_ended_is_no_error(node: subprocess.Popen[str]) -> None:
    use = ProcessUse(os.getpid())
    use.begin()
    work(node, 0.05)
    use.end()
    assert node.stdin is not None
    node.stdin.close()
    node.wait()
    assert use.result()["lamp"].memory_mb == 0.0
