# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the children of the policy node that run models do from start to end."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from lowlat_nodes.nodes.child import channel_from_parent, die_with_parent
from lowlat_nodes.nodes.policy.messages import brief, pack, unpack
from lowlat_nodes.nodes.realtime import set_nice
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.transport.channel import Channel, ChannelClosedError


class Serves(Protocol):
    """Answers until the policy node goes away."""

    def run(self) -> None:
        """Serve."""
        ...


def described(what: str, error: Exception) -> str:
    """Return an error for people: our own as it is, a foreign one with its type and where it came from."""
    return str(error) if isinstance(error, LowlatError) else f"{what}: {type(error).__name__}: {error}"


def serve_as_child(what: str, make: Callable[[Channel, Channel, dict[str, Any]], Serves]) -> int:
    """Run as a child of the policy node, with the descriptor of the channel as the argument.

    Args:
        what: What people call it.
        make: Loads it: from the channel to the node, the channel to its images, and the `setup` message.

    Returns:
        The exit code: 2 if it could not be loaded, which the node was told with the reason.
    """
    die_with_parent(os.getppid())
    node = channel_from_parent()
    try:
        node.wait(None)
        data, cameras = node.receive_with_descriptor()
        assert data is not None
        assert cameras is not None
        _, setup = unpack(data)
        set_nice(setup["nice"])
        try:
            served = make(node, Channel.from_fd(cameras), setup)
        except Exception as error:  # models are foreign code
            if not isinstance(error, LowlatError):
                traceback.print_exc()
            node.send(pack("refused", reason=brief(described(what, error))))
            return 2
        served.run()
    except ChannelClosedError:
        return 0
    return 0
