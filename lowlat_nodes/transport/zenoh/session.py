# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A session of Zenoh that talks to nobody whom the configuration does not name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.transport.arrays import MAX_MESSAGE
from lowlat_nodes.transport.loopback import is_loopback
from lowlat_nodes.transport.zmq.header import MAX_HEADER

if TYPE_CHECKING:
    import zenoh

_ENDPOINT = re.compile(r"([a-z-]+)/(\[[0-9a-fA-F:.%]+\]|[^/:]+)(:\d{1,5})?(?:[?#].*)?\Z")
_SECURED = ("tls", "quic")
_LOCAL = ("unixsock-stream/", "unixpipe/")
_LEASE_MS = 3000
_RETRY = {"period_init_ms": 100, "period_max_ms": 500, "period_increase_factor": 2}


@dataclass(frozen=True)
class ZenohSettings:
    """Whom a process talks to over Zenoh."""

    mode: str = setting(
        "peer",
        choices=("peer", "client", "router"),
        doc="peer: connects and listens as told, and waits for those who are not there yet; client: of one "
        "router, which must be there; router: carries what others say, too.",
    )
    connect: tuple[str, ...] = setting(
        (), doc="Where others listen: tcp/HOST:PORT, tls/HOST:PORT, quic/HOST:PORT or unixsock-stream/PATH."
    )
    listen: tuple[str, ...] = setting((), doc="Where to listen, likewise; empty: nowhere.")
    config: str = setting(
        "",
        doc="File of Zenoh's own configuration (JSON5), such as the certificates of TLS; what is told here "
        "counts more.",
    )
    insecure: bool = setting(
        False,
        doc="Whether to talk to other machines without certificates on both sides; anybody may be there.",
    )


def open_session(settings: ZenohSettings) -> zenoh.Session:
    """Open a session.

    It neither looks for others by multicast nor listens anywhere unless it is told to. Other machines are
    talked to over TLS or QUIC with certificates on both sides (`enable_mtls`), or if `insecure` says so.

    Raises:
        ConfigurationError: If other machines would be talked to in the clear, or Zenoh refuses something.
        MissingExtra: If Zenoh is not installed.
    """
    try:
        import zenoh
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "zenoh", "zenoh") from error
    try:
        config = _configuration(settings)
        _check(config, settings)
        return zenoh.open(config)
    except zenoh.ZError as error:
        raise ConfigurationError(f"zenoh: {error}") from error


def _configuration(settings: ZenohSettings) -> zenoh.Config:
    import zenoh

    path = Path(settings.config).expanduser()
    if settings.config and not path.is_file():
        raise ConfigurationError(f"zenoh.config: expected a file, got {settings.config!r}")
    config: zenoh.Config = zenoh.Config.from_file(path) if settings.config else zenoh.Config()

    def insert(key: str, value: Any) -> None:
        config.insert_json5(key, json.dumps(value))

    insert("mode", settings.mode)
    if settings.connect:
        insert("connect/endpoints", settings.connect)
    if settings.listen or not settings.config:
        insert("listen/endpoints", settings.listen)
    if config.get_json("scouting/multicast/enabled") == "null":
        insert("scouting/multicast/enabled", False)
    if settings.mode != "client":
        insert("connect/timeout_ms", -1)
        insert("connect/exit_on_failure", False)
    insert("connect/retry", _RETRY)
    insert("transport/link/tx/lease", _LEASE_MS)
    insert("transport/link/rx/max_message_size", MAX_MESSAGE + MAX_HEADER + 1024)
    return config


def _check(config: zenoh.Config, settings: ZenohSettings) -> None:
    if settings.insecure:
        return
    mutual = config.get_json("transport/link/tls/enable_mtls") == "true"
    for what in ("listen", "connect"):
        for endpoint in _endpoints(json.loads(config.get_json(f"{what}/endpoints"))):
            if not (_is_local(endpoint) or (mutual and endpoint.startswith(_SECURED))):
                raise ConfigurationError(
                    f"zenoh.{what}: {endpoint} reaches other machines, and nothing would keep strangers out; "
                    f"expected tcp/127.0.0.1:PORT or unixsock-stream/PATH, or tls/ or quic/ with "
                    f"certificates on both sides (transport.link.tls.enable_mtls in the file zenoh.config), "
                    f"or zenoh.insecure: true on a network that you trust"
                )
    if config.get_json("scouting/multicast/enabled") != "false" and not mutual:
        raise ConfigurationError(
            "zenoh.config: scouting.multicast would connect to anybody on the network; expected it off, "
            "certificates on both sides, or zenoh.insecure: true"
        )


def _endpoints(found: Any) -> Iterable[str]:
    """Yield the endpoints in a list, or in a map of such lists by mode."""
    if isinstance(found, dict):
        found = [each for value in found.values() for each in _endpoints(value)]
    for each in found or ():
        # Alternatives stand in a list of their own.
        yield from _endpoints(each) if isinstance(each, list | dict) else [str(each)]


def _is_local(endpoint: str) -> bool:
    if endpoint.startswith(_LOCAL):
        return True
    match = _ENDPOINT.match(endpoint)
    if match is None:
        return False
    return is_loopback(match.group(2).strip("[]"))
