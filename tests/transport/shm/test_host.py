# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The token tells whether two processes see the same shared memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lowlat_nodes.transport.shm.host import host_token, started_ticks

TELL = "from lowlat_nodes.transport.shm.host import host_token; print(host_token())"


def test_it_is_the_same_in_another_process() -> None:
    told = subprocess.check_output([sys.executable, "-c", TELL], text=True).strip()
    assert told == host_token()
    assert re.fullmatch("[0-9a-f]{16}", told)


def test_it_tells_mounts_apart(tmp_path: Path) -> None:
    assert host_token(tmp_path) == host_token(tmp_path)
    assert host_token(tmp_path) != host_token(Path("/proc"))


def test_without_shared_memory_there_is_none(tmp_path: Path) -> None:
    assert not host_token(tmp_path / "missing")


def test_it_reveals_no_boot() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "").strip()
    assert host_token() not in boot


def test_processes_know_when_they_started() -> None:
    tell = "from lowlat_nodes.transport.shm.host import started_ticks; print(started_ticks())"
    assert int(subprocess.check_output([sys.executable, "-c", tell])) >= started_ticks() > 0
