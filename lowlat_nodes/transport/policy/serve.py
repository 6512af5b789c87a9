# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policy servers by the name of their protocol, and whom they may listen to."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import Responder
from lowlat_nodes.transport.policy.connect import load, pick


@dataclass(frozen=True)
class ServerKind:
    """The server of a protocol.

    Attributes:
        made_by: `module:class`, called with the responder, `address` and `token`.
        scheme: Of its address.
        port: The usual one.
    """

    made_by: str
    scheme: str
    port: int


SERVERS: Mapping[str, ServerKind] = {
    "openpi": ServerKind("lowlat_nodes.transport.policy.openpi_server:OpenpiServer", "ws", 8000),
}


class PolicyServer(Protocol):
    """Serves one responder; listens from its construction on."""

    @property
    def address(self) -> str:
        """Return where clients find it, as they write it."""
        ...

    def serve(self) -> None:
        """Answer requests, one at a time and in this thread, until `close`."""
        ...

    def close(self) -> None:
        """Let `serve` return; for other threads and signal handlers. Does not wait."""
        ...

    def counts(self) -> dict[str, int]:
        """Return what happened so far, by name."""
        ...


def make_server(
    protocol: str,
    responder: Responder,
    *,
    host: str,
    port: int | None = None,
    token: str = "",
    insecure_bind: bool = False,
) -> PolicyServer:
    """Return a server that listens.

    Args:
        protocol: One of `SERVERS`.
        responder: Answers.
        host: Name or address of the interface.
        port: 0 takes a free one, None the usual one of the protocol.
        token: What clients must know, empty for nothing.
        insecure_bind: Listen to other machines too, although the protocol is in the clear.

    Raises:
        ConfigurationError: If the protocol is unknown, or other machines would be listened to without both
            `insecure_bind` and a token, or the address cannot be had.
        MissingExtra: If the library of the protocol is not installed.
    """
    kind = pick(SERVERS, protocol)
    if not is_loopback(host) and not (insecure_bind and token):
        raise ConfigurationError(
            f"{protocol} is neither encrypted nor safe against strangers; expected a loopback address, got "
            f"{host!r}; use 127.0.0.1 and a tunnel (ssh -L), or give both --insecure-bind and --token-file "
            f"on a network that you trust"
        )
    place = f"[{host}]" if ":" in host else host
    address = f"{kind.scheme}://{place}:{kind.port if port is None else port}"
    server: PolicyServer = load(kind.made_by)(responder, address=address, token=token)
    return server


def is_loopback(host: str) -> bool:
    """Return whether nobody but this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
