# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An input of a node that comes over ZeroMQ instead of ROS."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import load_client_keys
from lowlat_nodes.transport.zmq.endpoint import check_endpoint
from lowlat_nodes.transport.zmq.subscriber import Subscriber


@dataclass(frozen=True, kw_only=True)
class ZmqInput:
    """A topic of a ZeroMQ publisher.

    On the same host large arrays come through shared memory, which is several times faster than a ROS topic.
    """

    endpoint: str = setting(doc="Address of the publisher.")
    topic: str = setting(doc="Its topic on the wire.")
    key: str = setting("", doc="Keys of the node, by name or secret file, where the publisher wants some.")
    server_key: str = setting("", doc="Public key of the publisher, or its name or file; goes with key.")
    max_age_ms: float = setting(
        0.0, unit="ms", low=0.0, high=3_600_000.0, doc="Messages older than this are dropped; 0 keeps all."
    )

    def __post_init__(self) -> None:
        check_endpoint(self.endpoint)
        if bool(self.key) != bool(self.server_key):
            raise ConfigurationError("expected key and server_key together, or neither of them")

    def source(self, name: str, clock: Clock) -> Subscriber:
        """Return the source of an input.

        Raises:
            ConfigurationError: If the keys cannot be had.
        """
        keys = load_client_keys(self.key, self.server_key) if self.key else None
        return Subscriber(self.endpoint, {name: self.topic}, clock=clock, keys=keys)
