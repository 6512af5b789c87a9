# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How a node's work shares a device: by whose turns, and in segments of which length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lowlat_nodes.inference.turn import UNSHARED, Turn
from lowlat_nodes.inference.turns.settings import TurnSettings, open_turn
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError

WARM_UPS = 5  # the first one loads and compiles; the longest of the others is what is declared


@dataclass(frozen=True)
class SharingSettings(TurnSettings):
    """The group `turn` of a node that may share its device and cuts its work into segments."""

    segment_ms: float = setting(
        0.0,
        unit="ms",
        low=0.0,
        high=1e6,
        doc="Longest time without giving way that is wished for: the model is cut into parts, or a batch, so "
        "that none takes longer (docs/segments.md); 0 leaves each in one piece.",
    )

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigurationError: As `TurnSettings` does, and for segments without anybody to give way to.
        """
        super().__post_init__()
        if self.segment_ms and not self.device:
            raise ConfigurationError(
                f"turn.segment_ms: segments of {self.segment_ms:g} ms serve whom the device is shared with; "
                f"give turn.device, or segment_ms 0"
            )


@dataclass(frozen=True)
class Sharing:
    """What those who run models are told.

    Attributes:
        turn: Whose turns to wait for, and whom to give way to.
        segment_ms: Longest segment that is wished for; 0: work is not cut.
    """

    turn: Turn = UNSHARED
    segment_ms: float = 0.0

    @property
    def is_shared(self) -> bool:
        """Return whether there may be others."""
        return self.turn is not UNSHARED

    def warm_ups(self, alone: int = 1) -> Iterator[int]:
        """Yield a number for each job of a warm-up, after which what they cost can be declared.

        Args:
            alone: How many there are where nobody needs to know.
        """
        yield from range(WARM_UPS if self.is_shared else alone)


ALONE = Sharing()


def open_sharing(settings: SharingSettings, name: str) -> Sharing:
    """Return how a node shares its device.

    Args:
        settings: Its parameters.
        name: Full name of the node.

    Raises:
        ConfigurationError: As `open_turn` does.
    """
    turn = open_turn(settings, name)
    return ALONE if turn is UNSHARED else Sharing(turn, settings.segment_ms)
