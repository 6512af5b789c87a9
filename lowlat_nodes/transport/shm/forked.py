# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Locks stay with the process that took them, when it forks.

A child shares the open file descriptions of its parent and with them the locks: by giving one back it would
take it from its parent, and by living on it would keep those of a dead parent. So it closes its copies.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Disowned(Protocol):
    """What holds locks."""

    def disown(self) -> None:
        """Close the descriptors of locks: this is a child of the process that took them."""


_holders: weakref.WeakSet[Disowned] = weakref.WeakSet()


def disown_in_child(holder: Disowned) -> None:
    """Have the holder told when this process has forked, in the child."""
    _holders.add(holder)


def _disown() -> None:
    for holder in list(_holders):
        holder.disown()
    _holders.clear()


os.register_at_fork(after_in_child=_disown)
