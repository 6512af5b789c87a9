# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policy servers by the name of their protocol, and whom they may listen to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.requester import Responder
from lowlat_nodes.transport.loopback import is_loopback
from lowlat_nodes.transport.policy.connect import ENCRYPTED, load, pick


@dataclass(frozen=True)
class ServerKind:
    """The server of a protocol.

    Attributes:
        made_by: `module:class`, called with the responder, `address`, the `options` and, where it is
            encrypted, `keys`, elsewhere `token` and `insecure_bind`.
        scheme: Of its address.
        port: The usual one.
        options: What sets it apart from others of the same class.
        encrypted: Whether it has keys.
    """

    made_by: str
    scheme: str
    port: int
    options: Mapping[str, Any] = field(default_factory=dict)
    encrypted: bool = False


_GR00T = "lowlat_nodes.transport.policy.gr00t_server:Gr00tServer"


SERVERS: Mapping[str, ServerKind] = {
    "openpi": ServerKind("lowlat_nodes.transport.policy.openpi_server:OpenpiServer", "ws", 8000),
    "gr00t": ServerKind(_GR00T, "tcp", 5555),
    "gr00t-n1.5": ServerKind(_GR00T, "tcp", 5555, {"generation": "1.5"}),
    "lowlat": ServerKind(
        "lowlat_nodes.transport.policy.lowlat_server:LowlatServer", "tcp", 5556, encrypted=True
    ),
}


class PolicyServer(Protocol):
    """Serves one responder; listens from its construction on."""

    @property
    def address(self) -> str:
        """Return where clients find it, as they write it."""
        ...

    def serve(self, pulse: Pulse | None = None) -> None:
        """Answer requests, one at a time and in this thread, until `close`; beats there."""
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
    path: str = "",
    key_file: str = "",
    allow: Sequence[str] = (),
) -> PolicyServer:
    """Return a server that listens.

    Args:
        protocol: One of `SERVERS`.
        responder: Answers.
        host: Name or address of the interface.
        port: 0 takes a free one, None the usual one of the protocol.
        token: What clients must know, empty for nothing.
        insecure_bind: Listen to other machines too, although the protocol is in the clear.
        path: Of a Unix socket to listen at instead of a port; a name without slash is in the user's folder.
        key_file: The server's keys, a name in the key store or a secret certificate; only for a protocol that
            is encrypted.
        allow: Who may come in, as `load_server_keys` takes it.

    Raises:
        ConfigurationError: If the protocol is unknown or has not what is asked for; if other machines would
            be listened to without keys, or both `insecure_bind` and a token; or if the address cannot be had.
        MissingExtra: If the library of the protocol is not installed.
    """
    kind = pick(SERVERS, protocol)
    if path and kind.scheme != "tcp":
        raise ConfigurationError(f"{protocol} has no Unix sockets; expected a host and port, got {path!r}")
    if (key_file or allow) and not kind.encrypted:
        raise ConfigurationError(f"{protocol} has no keys; expected none, or the protocol {ENCRYPTED!r}")
    place = f"[{host}]" if ":" in host else host
    port = kind.port if port is None else port
    address = f"{kind.scheme}://{place}:{port}"
    if path:
        address = f"ipc://{Path(path).expanduser().absolute() if '/' in path else path}"
    if kind.encrypted:
        return _encrypted(kind, responder, address, token=token, key_file=key_file, allow=allow)
    if not path and not is_loopback(host) and not (insecure_bind and token):
        raise ConfigurationError(
            f"{protocol} is neither encrypted nor safe against strangers; expected a loopback address, got "
            f"{host!r}; use 127.0.0.1 and a tunnel (ssh -L), or give both --insecure-bind and --token-file "
            f"on a network that you trust"
        )
    server: PolicyServer = load(kind.made_by)(
        responder, address=address, token=token, insecure_bind=insecure_bind, **kind.options
    )
    return server


def _encrypted(
    kind: ServerKind, responder: Responder, address: str, *, token: str, key_file: str, allow: Sequence[str]
) -> PolicyServer:
    from lowlat_nodes.transport.zmq.curve import load_server_keys

    if token:
        raise ConfigurationError(f"the protocol {ENCRYPTED!r} has keys instead of a token")
    if allow and not key_file:
        raise ConfigurationError("expected the server's key file beside the clients that may come in")
    keys = load_server_keys(key_file, allow) if key_file else None
    server: PolicyServer = load(kind.made_by)(responder, address=address, keys=keys, **kind.options)
    return server
