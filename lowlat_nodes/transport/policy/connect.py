# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients of policy servers by the name of their protocol; a library is imported when it is needed."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import Requester

T = TypeVar("T")

CLIENTS: Mapping[str, str] = {
    "openpi": "lowlat_nodes.transport.policy.openpi_client:OpenpiClient",
    "gr00t": "lowlat_nodes.transport.policy.gr00t_client:Gr00tClient",
    "lowlat": "lowlat_nodes.transport.policy.lowlat_client:LowlatClient",
}
"""Protocol: the class of its client, called with the address and `token`, and `keys` where it has them."""

ENCRYPTED = "lowlat"


def connect(
    protocol: str, address: str, *, token: str = "", key_file: str = "", server_key_file: str = ""
) -> Requester:
    """Return the client of one policy server; see `Connect`.

    Raises:
        ConfigurationError: If the protocol is unknown, or the rest does not fit it.
        MissingExtra: If the library of the protocol is not installed.
    """
    made = load(pick(CLIENTS, protocol))
    options: dict[str, Any] = {"token": token}
    if key_file or server_key_file:
        options["keys"] = _keys(protocol, key_file, server_key_file)
    client: Requester = made(address, **options)
    return client


def _keys(protocol: str, key_file: str, server_key_file: str) -> Any:
    from lowlat_nodes.transport.zmq.curve import load_client_keys

    if protocol != ENCRYPTED:
        raise ConfigurationError(f"{protocol} has no keys; expected none, or the protocol {ENCRYPTED!r}")
    if not key_file or not server_key_file:
        raise ConfigurationError(
            "expected both the client's key file and the server's, or none, got "
            f"{key_file!r} and {server_key_file!r}"
        )
    return load_client_keys(key_file, server_key_file)


def pick(table: Mapping[str, T], protocol: str) -> T:
    """Return what a table has for a protocol.

    Raises:
        ConfigurationError: If it has nothing.
    """
    if protocol not in table:
        near = difflib.get_close_matches(protocol, table, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(table)}"
        raise ConfigurationError(f"there is no policy protocol {protocol!r}; {hint}")
    return table[protocol]


def load(where: str) -> Any:
    """Return the class at `module:class`."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
