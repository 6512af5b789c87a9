# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A child for the tests of `kept_process`: it gets ready, refuses, hangs or dies, as it is told."""

from __future__ import annotations

import sys
import time

from lowlat_nodes.nodes.child import channel_from_parent
from lowlat_nodes.nodes.policy.messages import pack, unpack
from lowlat_nodes.transport.channel import ChannelClosedError


def main() -> int:
    node = channel_from_parent()
    node.wait(None)
    data = node.receive()
    assert data is not None
    order = unpack(data)[1]["order"]
    if order == "die":
        return 3
    if order == "hang":
        time.sleep(600.0)
    if order == "refuse":
        node.send(pack("refused", reason="no such model"))
        return 2
    node.send(pack("ready", answer=42))
    try:
        while True:
            node.wait(None)
            node.receive()
    except ChannelClosedError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
