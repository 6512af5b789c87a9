# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Key expressions of Zenoh: `PREFIX/TOPIC`, where the prefix stands for one publisher."""

from __future__ import annotations

import re

from lowlat_nodes.stream.errors import ConfigurationError

SCHEME = "zenoh://"
"""What the endpoint of a publisher over Zenoh begins with; its prefix follows."""

HEARTBEAT = "@heartbeat"
ALIVE = "@alive"
"""The liveliness token of a publisher."""

_PART = re.compile(r"[^/*$?#\s@][^/*$?#\s]*\Z")


def prefix_of(endpoint: str) -> str:
    """Return the prefix in `zenoh://PREFIX`.

    Raises:
        ConfigurationError: If it is no such endpoint.
    """
    if not endpoint.startswith(SCHEME):
        raise ConfigurationError(f"expected an endpoint like zenoh://fleet/robot_1, got {endpoint!r}")
    return check_key(endpoint.removeprefix(SCHEME))


def check_key(key: str) -> str:
    """Return a key if it stands for itself alone.

    Raises:
        ConfigurationError: If it is empty or holds what has a meaning in key expressions.
    """
    if not key or not all(_PART.match(part) for part in key.split("/")):
        raise ConfigurationError(
            f"zenoh: expected names with single slashes in between, without any of * $ ? # @ and spaces, got "
            f"{key!r}"
        )
    return key
