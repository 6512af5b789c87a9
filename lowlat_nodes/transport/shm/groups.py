# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The group of users that share memory."""

from __future__ import annotations

import grp
import os

from lowlat_nodes.stream.errors import ConfigurationError


def group_number(name: str) -> int | None:
    """Return the number of a group that this process is in; None for an empty name.

    Raises:
        ConfigurationError: If there is no such group, or the process is not in it.
    """
    if not name:
        return None
    try:
        number = grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigurationError(f"shared memory: expected a group of this host, got {name!r}") from None
    if os.geteuid() and number not in {os.getegid(), *os.getgroups()}:
        raise ConfigurationError(
            f"shared memory: this process is not in the group {name!r}; add its user to it, or name another"
        )
    return number
