# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Sources of what cannot come again, such as sockets and topics: there is nothing to commit."""

from __future__ import annotations

from collections.abc import Callable


class Fleeting:
    """The part of a `PullSource` that is the same wherever nothing that was handed out can come again."""

    def commit(self) -> None:
        """Do nothing: what was handed out cannot come again."""

    def before_handover(self, settle: Callable[[], None]) -> None:
        """Do nothing: nothing goes to another consumer."""

    @property
    def exhausted(self) -> bool:
        """Return False: there may always be more."""
        return False

    @property
    def lag(self) -> None:
        """Return None: nobody knows what waits."""
        return
