# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes of one node: how a node starts a child, and what a child does first."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

from lowlat_nodes.transport.channel import Channel

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_libc = ctypes.CDLL(None, use_errno=True)


def start_child(module: str) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start a module of this package as a process.

    Returns:
        The process, and a channel to it.
    """
    ours, theirs = Channel.pair()
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
    )
    theirs.close()
    return process, ours


def channel_from_parent() -> Channel:
    """Return the channel to the process that started this one; it alone decides when this one ends.

    Ctrl-C and a stop of the process group reach the parent as well, which then stops its children in order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return Channel.from_fd(int(sys.argv[1]))


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that happens (prctl(2)).

    Args:
        parent: Process id of the parent. If that one has ended by now, so does this process.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before we could ask
