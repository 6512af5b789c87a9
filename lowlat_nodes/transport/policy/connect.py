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
}
"""Protocol: the class of its client, called with the address and `token`."""


def connect(protocol: str, address: str, *, token: str = "") -> Requester:
    """Return the client of one policy server; it need not be there yet.

    Raises:
        ConfigurationError: If the protocol is unknown, or the address or the token does not fit it.
        MissingExtra: If the library of the protocol is not installed.
    """
    client: Requester = load(pick(CLIENTS, protocol))(address, token=token)
    return client


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
