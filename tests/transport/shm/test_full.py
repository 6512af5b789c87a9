# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where shared memory is small, as in a container, there are fewer slots or none; nothing dies of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Runs on a file system of its own, 1 MiB of shared memory, in a namespace that nobody else sees.
MOUNTED = 'mount -t tmpfs -o size=1m lowlat "$1" && exec "$2" -c "$3" "$1"'

PREAMBLE = """
import json, os, sys
from pathlib import Path
import numpy as np
from lowlat_nodes.transport.shm.reader import Reader
from lowlat_nodes.transport.shm.writer import Writer

folder = Path(sys.argv[1])
def full(kib, value=1): return [np.full(kib << 10, value, np.uint8)]
def sizes(): return sorted(path.stat().st_size >> 10 for path in folder.iterdir())
def free(): return os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize >> 10
"""


def run(folder: Path, program: str) -> Any:
    """Return what a program prints, as JSON."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*namespace, "sh", "-c", MOUNTED, "sh", str(folder), sys.executable, PREAMBLE + program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"mounting a small file system is not permitted: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_fewer_slots_where_memory_is_short(folder: Path) -> None:
    program = """
writer = Writer(slots=8, folder=folder)
places = [writer.put(full(100)), writer.put(full(300))]
print(json.dumps([None in places, sizes(), writer.counts.snapshot()]))
"""
    assert run(folder, program) == [False, [604], {}], "the first one made room for the second"


def test_half_of_what_is_free_is_left_to_others(folder: Path) -> None:
    program = """
writer = Writer(slots=8, folder=folder)
place = writer.put(full(100))
print(json.dumps([place is not None, sizes(), writer.counts.snapshot()]))
"""
    assert run(folder, program) == [True, [504], {}]


def test_no_room_is_counted_and_costs_no_memory(folder: Path) -> None:
    program = """
(folder / "other").write_bytes(bytes(900 << 10))
before = free()
writer = Writer(slots=8, folder=folder)
places = [writer.put(full(100)), writer.loan((100 << 10,), "u1")]
print(json.dumps([places, free() - before, writer.counts.snapshot()]))
"""
    assert run(folder, program) == [[None, None], 0, {"no_space": 2}]


def test_room_that_comes_back_is_used(folder: Path) -> None:
    program = """
import time
other = folder / "other"
other.write_bytes(bytes(1000 << 10))
writer = Writer(slots=2, folder=folder)
place = writer.put(full(100))
other.unlink()
tries = 0
while place is None:
    place, tries = writer.put(full(100)), tries + 1
    time.sleep(0.01)
print(json.dumps([tries > 1, sizes()]))
"""
    assert run(folder, program) == [True, [204]]


def test_a_full_file_system_harms_nobody_who_has_a_segment(folder: Path) -> None:
    program = """
writer, reader = Writer(slots=2, folder=folder), Reader(folder=folder)
place = writer.put(full(100))
try:
    (folder / "other").write_bytes(bytes(2 << 20))
except OSError as error:
    full_up = error.strerror
for value in range(20):
    place = writer.put(full(100, value))
    (view,) = reader.lease(place, [100 << 10])
    assert np.unique(np.frombuffer(view, np.uint8)).tolist() == [value]
larger = writer.put(full(300))
print(json.dumps([full_up, larger, writer.counts.snapshot(), writer.put(full(100)) is not None]))
"""
    told = ["No space left on device", None, {"no_space": 1}, True]
    assert run(folder, program) == told
