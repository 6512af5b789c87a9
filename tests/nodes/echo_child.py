# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A child process that sends back what it is sent; and a parent of one, to be killed."""

from __future__ import annotations

import os
import sys
import time

from lowlat_nodes.nodes.child import channel_from_parent, die_with_parent, start_child
from lowlat_nodes.transport.channel import ChannelClosedError


def echo() -> None:
    die_with_parent(os.getppid())
    channel = channel_from_parent()
    try:
        while channel.wait(None):
            data = channel.receive()
            assert data is not None
            channel.send(data)
    except ChannelClosedError:
        sys.exit(7)


def parent() -> None:
    process, channel = start_child("echo_child")
    channel.send(b"x")
    channel.wait(None)
    print(process.pid, flush=True)
    time.sleep(600.0)


if __name__ == "__main__":
    parent() if sys.argv[1] == "parent" else echo()
