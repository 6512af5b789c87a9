# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The six sizes of YOLOv10."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lowlat_nodes.stream.errors import ConfigurationError

Stage = Literal["stage4", "stage5", "top_down4", "bottom_up4", "bottom_up5"]
"""A stage that may be compact; the digit is the level, whose stride is 2 to that power."""


@dataclass(frozen=True)
class Scale:
    """Depth and width of the network, and where it saves (arXiv 2405.14458, section 3.2 and appendix A.3).

    Attributes:
        name: One letter.
        depth: Factor of the number of blocks in a stage.
        width: Factor of the number of channels.
        max_channels: Limit of the channels before `width` is applied.
        compact: The stages made of compact inverted blocks, those of the lowest intrinsic rank.
        large_kernel: The compact stages with 7x7 depthwise convolutions.
    """

    name: str
    depth: float
    width: float
    max_channels: int
    compact: frozenset[Stage]
    large_kernel: frozenset[Stage] = frozenset()

    def channels(self, base: int) -> int:
        """Channels where the plan says `base`: a multiple of eight."""
        return -int(-min(base, self.max_channels) * self.width // 8) * 8

    def repeats(self, base: int) -> int:
        """Blocks where the plan says `base`."""
        return max(round(base * self.depth), 1)


_S: Final[frozenset[Stage]] = frozenset({"stage5", "bottom_up5"})
_M: Final[frozenset[Stage]] = _S | {"bottom_up4"}
_L: Final[frozenset[Stage]] = _M | {"top_down4"}
_LAST: Final[frozenset[Stage]] = frozenset({"bottom_up5"})

SCALES: Final[Mapping[str, Scale]] = {
    "n": Scale("n", 1 / 3, 0.25, 1024, _LAST, _LAST),
    "s": Scale("s", 1 / 3, 0.50, 1024, _S, _S),
    "m": Scale("m", 2 / 3, 0.75, 768, _M),
    "b": Scale("b", 2 / 3, 1.00, 512, _L),
    "l": Scale("l", 1.0, 1.00, 512, _L),
    "x": Scale("x", 1.0, 1.25, 512, _L | {"stage4"}),
}


def scale_named(name: str) -> Scale:
    """Return the scale of that letter, in either case.

    Raises ConfigurationError for an unknown one.
    """
    if name.lower() not in SCALES:
        raise ConfigurationError(f"scale: expected one of {', '.join(SCALES)}, got {name!r}")
    return SCALES[name.lower()]
