# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Streaming average precision: what a detector says of a moving world at the moment when it is asked.

Li, Wang and Ramanan, Towards Streaming Perception, ECCV 2020: at each moment of the ground truth the newest
detections published by then are judged, whichever frame they were computed from. Latency costs precision.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from numpy.typing import ArrayLike

from lowlat_nodes.vision.average_precision import AveragePrecision, Precision, Sizes
from lowlat_nodes.vision.placement import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What a detector published.

    Attributes:
        published_ns: When.
        rows: float32 [n, 6]: left, top, right, bottom, score, class.
    """

    published_ns: int
    rows: Rows


class StreamingPrecision:
    """Judges a record of outputs against what was true at any times.

    Args:
        names: The classes, by number.
        outputs: What was published, in any order; of two published at the same time the later one counts.
        sizes: What is small, medium and large.

    Attributes:
        unanswered: Moments before the first output; they are judged as if nothing had been found.
    """

    def __init__(self, names: Sequence[str], outputs: Iterable[Output], sizes: Sizes | None = None) -> None:
        self._outputs = sorted(outputs, key=attrgetter("published_ns"))
        self._precision = AveragePrecision(names, sizes)
        self.unanswered = 0

    def add(
        self, time_ns: int, boxes: ArrayLike, labels: ArrayLike, ignored: ArrayLike | None = None
    ) -> None:
        """Judge the newest output published at or before `time_ns`, in the clock of the outputs.

        The other arguments and errors are those of `AveragePrecision.add`.
        """
        number = bisect.bisect_right(self._outputs, time_ns, key=attrgetter("published_ns")) - 1
        if number < 0:
            self.unanswered += 1
        self._precision.add(self._outputs[number].rows if number >= 0 else (), boxes, labels, ignored)

    def result(self) -> Precision:
        """Return the figures of all moments so far."""
        return self._precision.result()
