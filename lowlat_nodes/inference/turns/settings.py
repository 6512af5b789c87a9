# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node is told about the device that it shares, and its entrance to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lowlat_nodes.inference.turn import UNSHARED, Turn
from lowlat_nodes.inference.turns.shared import SharedTurn
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:.-]{0,31}\Z")


@dataclass(frozen=True)
class TurnSettings:
    """The group `turn` of a node that may share its device."""

    device: str = setting(
        "",
        doc="Name of the device that the node shares with others of the same user and name, such as cpu0 or "
        "cuda:0; empty if it is not shared.",
    )
    deadline_ms: float = setting(
        0.0,
        unit="ms",
        low=0.0,
        high=1e6,
        doc="When a job must be done, after it was asked for; 0 for the period, and without one for never.",
    )
    period_ms: float = setting(
        0.0, unit="ms", low=0.0, high=1e6, doc="Shortest time between two jobs; 0 if there is none."
    )
    timeout_ms: float = setting(
        0.0, unit="ms", low=0.0, high=1e6, doc="A job that has waited for so long fails; 0 to wait on."
    )

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigurationError: For a name that is none, or a deadline without a period.
        """
        if self.device and not _DEVICE.match(self.device):
            raise ConfigurationError(
                f"turn.device: expected up to 32 letters, digits and _:.- with a letter or digit first, such "
                f"as cpu0, got {self.device!r}"
            )
        if self.deadline_ms and not self.period_ms:
            raise ConfigurationError(
                f"turn.deadline_ms: {self.deadline_ms:g} ms can only be kept where jobs do not come at any "
                f"rate; give turn.period_ms, or deadline_ms 0 for a node that runs when nobody else must"
            )


def open_turn(settings: TurnSettings, name: str) -> Turn:
    """Return the place of a node among those that share its device.

    Args:
        settings: Which device, and what the node needs of it.
        name: Full name of the node, for the messages and figures of others.

    Raises:
        ConfigurationError: If the device cannot be shared: no folder, no room.
    """
    if not settings.device:
        return UNSHARED
    deadline_ms = settings.deadline_ms or settings.period_ms
    return SharedTurn(
        settings.device,
        name,
        period_ns=round(settings.period_ms * 1e6),
        deadline_ns=round(deadline_ms * 1e6),
        timeout_ns=round(settings.timeout_ms * 1e6),
    )
