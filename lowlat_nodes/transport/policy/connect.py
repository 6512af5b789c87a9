# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients of policy servers by the name of their protocol; a library is imported when it is needed."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import Requester

CLIENTS = {
    "openpi": "lowlat_nodes.transport.policy.openpi_client:OpenpiClient",
}
"""Protocol: the class of its client, called with the address and `token`."""


def connect(protocol: str, address: str, *, token: str = "") -> Requester:
    """Return the client of one policy server; it need not be there yet.

    Raises:
        ConfigurationError: If the protocol is unknown, or the address or the token does not fit it.
        MissingExtra: If the library of the protocol is not installed.
    """
    client: Requester = resolve(CLIENTS, protocol)(address, token=token)
    return client


def resolve(table: dict[str, str], protocol: str) -> Any:
    """Return the class that a table has for a protocol.

    Raises:
        ConfigurationError: If there is none.
    """
    if protocol not in table:
        near = difflib.get_close_matches(protocol, table, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(table)}"
        raise ConfigurationError(f"there is no policy protocol {protocol!r}; {hint}")
    module, _, name = table[protocol].partition(":")
    return getattr(importlib.import_module(module), name)
