# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Open files, socket buffers and disk space."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning

_FEW_FILES, _TOO_FEW_FILES = 1024, 256
_BUFFER = 2 << 20
_LITTLE, _TOO_LITTLE = 2_000_000_000, 100_000_000
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def check(examination: Examination) -> Iterator[Finding]:
    """Look at the limits of this process, which those that it starts inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield judge_files(soft, hard)
    if _RMEM_MAX.is_file():
        yield judge_buffer(int(_RMEM_MAX.read_text(encoding="ascii")))
    for about, folder in _folders(examination):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        writable = os.access(there, os.W_OK | os.X_OK)
        yield judge_disk(about, folder, shutil.disk_usage(there).free, writable=writable)


def judge_files(soft: int, hard: int) -> Finding:
    """Return what a limit of open files means; a node of ours has some 60 open, and as many for each peer."""
    unlimited = resource.RLIM_INFINITY
    figures = {"soft": soft, "hard": hard}
    if soft == unlimited or soft >= _FEW_FILES:
        amount = "any number of" if soft == unlimited else str(soft)
        return ok("open files", f"A process may open {amount} files.", **figures)
    enough = hard == unlimited or hard >= _FEW_FILES
    mend = "ulimit -n 4096" if hard == unlimited or hard >= 4096 else f"ulimit -n {hard}"
    if not enough:
        mend = 'echo "$USER - nofile 4096" | sudo tee -a /etc/security/limits.conf    # then log in anew'
    say = problem if soft < _TOO_FEW_FILES else warning
    found = (
        f"A process may open {soft} files only; sockets and shared memory of a node with many peers need "
        "more."
    )
    return say("open files", found, mend, **figures)


def judge_buffer(most: int) -> Finding:
    """Return what the largest receive buffer of a socket means, bytes."""
    if most >= _BUFFER:
        return ok(
            "socket buffers", f"Up to {most / 1e6:.1f} MB, enough for images from other machines.", bytes=most
        )
    return note(
        "socket buffers",
        f"Up to {most / 1e6:.2f} MB: images that come over UDP from other machines lose fragments; on "
        "one machine they "
        f"go through shared memory.",
        "echo net.core.rmem_max=16777216 | sudo tee /etc/sysctl.d/60-lowlat.conf && sudo sysctl --system",
        bytes=most,
    )


def judge_disk(about: str, folder: Path, free: int, *, writable: bool) -> Finding:
    """Return what the free space of a folder means, bytes."""
    figures = {"folder": str(folder), "free_bytes": free, "writable": writable}
    if not writable:
        return warning(
            about,
            f"This user may not write {folder}.",
            "cd ~" if about == "bags" else f"ls -ld {shlex.quote(str(folder))}",
            **figures,
        )
    found = f"{free / 1e9:.1f} GB are free for {folder}."
    if free < _LITTLE:
        say = problem if free < _TOO_LITTLE else warning
        where = shlex.quote(str(folder))
        return say(about, found, f"du -xh --max-depth=2 {where} 2>/dev/null | sort -h | tail", **figures)
    return ok(about, found, **figures)


def _folders(examination: Examination) -> Iterator[tuple[str, Path]]:
    """Yield what is written where."""
    environment = examination.environment
    yield "bags", Path.cwd()
    logs = environment.get("ROS_LOG_DIR") or environment.get("ROS_HOME")
    try:
        yield "logs of ROS", Path(logs) if logs else Path.home() / ".ros" / "log"
        yield "timings of backends", resources.cache_folder()
    except (RuntimeError, FileNotFoundError):  # a user without a home
        return
