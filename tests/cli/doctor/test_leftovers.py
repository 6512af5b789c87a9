# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments of a process that is really killed are found, and `lowlat reap` frees them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any

from lowlat_nodes.cli.doctor.finding import Level
from lowlat_nodes.cli.doctor.leftovers import judge

Doctor = Callable[..., Any]

# Of ours: a writer that is killed in the middle of its work. Of Fast DDS: what a killed participant leaves.
KILLED = """
import os, signal
import numpy as np
from lowlat_nodes.transport.shm.writer import Writer
writer = Writer()
writer.put([np.zeros(1 << 20, np.uint8)])
os.kill(os.getpid(), signal.SIGKILL)
"""
OWN = "mount -t tmpfs -o size=1g tmpfs /dev/shm"


def test_a_killed_writer_leaves_a_segment(doctor: Doctor) -> None:
    kill = f"{{ {sys.executable} -c {shlex.quote(KILLED)} 2>/dev/null; true; }}"
    found = doctor("leftovers", inside=f"{OWN} && {kill}", code=0)
    ours = found["our streams"]
    assert (ours["level"], ours["mend"]) == ("note", ["lowlat reap"])
    assert ours["figures"]["segments"] == 1
    assert ours["figures"]["bytes"] > 1 << 20
    assert found["Fast DDS"]["level"] == "ok"


def test_reap_frees_it(doctor: Doctor) -> None:
    kill = f"{{ {sys.executable} -c {shlex.quote(KILLED)} 2>/dev/null; true; }}"
    reap = f"{sys.executable} -m lowlat_nodes.cli.main reap | grep -q ' in 1 segments of dead processes'"
    found = doctor("leftovers", inside=f"{OWN} && {kill} && {reap}", code=0)
    assert found["our streams"]["figures"] == {"segments": 0, "bytes": 0}


def test_a_dead_participant_leaves_a_segment(doctor: Doctor) -> None:
    """A lock file that nobody holds, older than the moment in which Fast DDS makes one."""
    name = "/dev/shm/fastrtps_0123456789abcdef"
    leave = f"head -c 70M /dev/zero > {name} && touch {name}_el && sleep 2.1"
    found = doctor("leftovers", inside=f"{OWN} && {leave}", code=0)["Fast DDS"]
    assert (found["level"], found["figures"]["segments"]) == ("warning", 1)
    assert "73.4 MB" in found["found"]


def test_much_is_worse_than_little() -> None:
    assert [judge("x", count, size).level for count, size in ((0, 0), (1, 1), (1, 1 << 28))] == [
        Level.OK,
        Level.NOTE,
        Level.WARNING,
    ]
