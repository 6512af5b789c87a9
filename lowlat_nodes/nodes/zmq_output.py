# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of a node's output over ZeroMQ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.shm.backend import BACKENDS
from lowlat_nodes.transport.zmq.curve import ServerKeys, load_server_keys
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES
from lowlat_nodes.transport.zmq.publisher import Publisher


@dataclass(frozen=True)
class ZmqSettings:
    """Where a node publishes its results over ZeroMQ too, and who may listen."""

    endpoint: str = setting(
        "", doc="Where to listen: tcp://127.0.0.1:5557, ipc://NAME or ipc:///PATH; empty: nowhere."
    )
    key: str = setting(
        "", doc="Keys of the node, by name or secret file; needed where other machines reach the endpoint."
    )
    clients: tuple[str, ...] = setting(
        (), doc="Public keys of those who may listen, names or files of them; empty: as lowlat keys allows."
    )
    memory: str = setting(
        "auto", doc="What large arrays go through to subscribers on this host.", choices=BACKENDS
    )

    def __post_init__(self) -> None:
        if self.clients and not self.key:
            raise ConfigurationError("zmq: expected the node's key beside clients; lowlat keys new makes one")

    def publisher(
        self,
        outputs: Mapping[str, str],
        *,
        waiting: int = WAITING_MESSAGES,
        latched: Collection[str] = (),
    ) -> Publisher | None:
        """Open the socket; None where no endpoint is given.

        Args:
            outputs: The topic on the wire by the topic of the messages.
            waiting: How many messages wait for each subscriber.
            latched: Topics on the wire whose last message a newcomer gets.

        Raises:
            ConfigurationError: If the endpoint or the keys cannot be had.
        """
        keys = self.keys()  # first: a key that cannot be had is a mistake, with an endpoint or without
        if not self.endpoint:
            return None
        return Publisher(
            self.endpoint,
            outputs,
            keys=keys,
            waiting=waiting,
            latched=latched,
            memory=self.memory,
        )

    def keys(self) -> ServerKeys | None:
        """Load the keys; None where none are given.

        Raises:
            ConfigurationError: If a file is no such key, or others may read the secret.
        """
        return load_server_keys(self.key, self.clients) if self.key else None
