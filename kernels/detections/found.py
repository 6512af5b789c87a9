# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a search for detections found."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

COUNTS = 3
"""How many numbers `Found.counts` has."""


class Found(NamedTuple):
    """The detections of an image, on the host or on a GPU.

    Attributes:
        rows: float32 [limit, 6]: x1, y1, x2, y2 in px, score from 0 to 1, class. The rows after the last
            detection are 0.
        counts: int32 [3]: how many rows are detections; how many pairs of a finite box and a wanted class
            had at least the score asked for; how many queries and pairs were refused.
    """

    rows: Any
    counts: Any

    def detections(self) -> Any:
        """Return the rows that are detections, [n, 6]; on a GPU that waits for it."""
        return self.rows[: int(self.counts[0])]

    @staticmethod
    def empty(limit: int) -> Found:
        """Return room for so many detections, on the host."""
        return Found(np.empty((limit, 6), np.float32), np.empty(COUNTS, np.int32))
