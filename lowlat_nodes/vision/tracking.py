# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The same number for the same thing over frames, from its boxes alone.

ByteTrack (Zhang et al., ECCV 2022): detections with a high score are matched to where tracks are expected,
then those with a low score to the tracks that are left, which keeps what is half hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.vision.boxes import intersections_over_unions
from lowlat_nodes.vision.motion import BoxMotion
from lowlat_nodes.vision.placement import Rows

Indices = NDArray[np.intp]
Identities = NDArray[np.int64]

LIMIT: Final = 300
"""How many detections of a frame are looked at, best first, and how many tracks there are at most."""

UNTRACKED: Final = -1
"""The number of what belongs to no track."""

_NOBODY: Final = -1
_SAME_IOU: Final = 0.7  # of two detections of one thing, which models without NMS sometimes have
_LOW_IOU: Final = 0.5  # of a detection that alone would not be believed, as in the paper


@dataclass(frozen=True)
class TrackingConfig:
    """Whether and how things keep a number over frames."""

    kind: str = setting(
        "none",
        choices=("none", "bytetrack"),
        doc="Whether detections carry the number of their track; bytetrack needs the extra tracking.",
    )
    buffer_ms: float = setting(
        1000.0,
        doc="How long a thing that is not detected keeps its number.",
        unit="ms",
        low=0.0,
        high=60_000.0,
    )
    high_threshold: float = setting(
        0.25, doc="Least score of detections that are matched first.", low=0.0, high=1.0
    )
    low_threshold: float = setting(
        0.1,
        doc="Least score of detections that keep a track alive, whether they are reported or not.",
        low=0.0,
        high=1.0,
    )
    start_threshold: float = setting(
        0.25, doc="Least score of a detection that a track begins with.", low=0.0, high=1.0
    )
    iou_threshold: float = setting(
        0.2, doc="Least overlap of a detection with where its track is expected.", low=0.01, high=1.0
    )
    minimum_hits: int = setting(
        2, doc="Frames in a row in which a thing is detected before it gets a number.", low=1, high=100
    )

    def __post_init__(self) -> None:
        if not self.low_threshold <= self.high_threshold <= self.start_threshold:
            raise ConfigurationError(
                f"tracking: expected low_threshold <= high_threshold <= start_threshold, got "
                f"{self.low_threshold}, {self.high_threshold}, {self.start_threshold}"
            )


@dataclass
class _Tracks:
    """What is followed: n things.

    Attributes:
        motion: Where they are.
        classes: float32 [n].
        identities: int64 [n], their numbers, -1 for what has not been seen often enough.
        hits: int64 [n], in how many frames they were seen.
        seen_ns: int64 [n], when last.
    """

    motion: BoxMotion
    classes: NDArray[np.float32]
    identities: Identities
    hits: NDArray[np.int64]
    seen_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    @staticmethod
    def start(rows: Rows, stamp_ns: int) -> _Tracks:
        """Return what is seen for the first time."""
        count = len(rows)
        return _Tracks(
            BoxMotion.start(rows[:, :4]),
            rows[:, 5].copy(),
            np.full(count, UNTRACKED, np.int64),
            np.ones(count, np.int64),
            np.full(count, stamp_ns, np.int64),
        )

    def see(self, which: Indices, rows: Rows, stamp_ns: int) -> None:
        """Take over where some of them were seen again."""
        self.motion.correct(which, rows[:, :4])
        self.hits[which] += 1
        self.seen_ns[which] = stamp_ns

    def extend(self, others: _Tracks) -> None:
        """Append others."""
        self.motion.extend(others.motion)
        self.classes = np.concatenate((self.classes, others.classes))
        self.identities = np.concatenate((self.identities, others.identities))
        self.hits = np.concatenate((self.hits, others.hits))
        self.seen_ns = np.concatenate((self.seen_ns, others.seen_ns))

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget all but some of them, bool [n]."""
        if which.all():
            return
        self.motion.keep(which)
        self.classes, self.identities = self.classes[which], self.identities[which]
        self.hits, self.seen_ns = self.hits[which], self.seen_ns[which]


class Tracker:
    """Follows the things that one camera sees.

    A track never changes its class. Numbers start at 1, and none is given twice.

    Args:
        config: How.

    Raises MissingExtra if SciPy is not installed.
    """

    def __init__(self, config: TrackingConfig) -> None:
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError:
            raise MissingExtra("scipy", "tracking") from None
        self._assign = linear_sum_assignment
        self._config = config
        self._buffer_ns = round(config.buffer_ms * 1e6)
        self._tracks = _Tracks.start(np.empty((0, 6), np.float32), 0)
        self._stamp_ns = 0
        self._given = 0

    def update(self, rows: Rows, stamp_ns: int) -> Identities:
        """Take in a frame; also one without detections, for what is not seen is forgotten by that.

        Args:
            rows: float32 [n, 6], the detections, by falling score: left, top, right and bottom edge in px,
                score, class. What is below `low_threshold` or beyond the best `LIMIT` is left alone.
            stamp_ns: When the frame was taken. If that is before the last one, a recording has been started
                again, and all tracks end.

        Returns:
            int64 [n], the number of the track of each detection, -1 for what belongs to none.
        """
        config, tracks, last_ns = self._config, self._tracks, self._stamp_ns
        self._stamp_ns = stamp_ns
        tracks.keep((stamp_ns - tracks.seen_ns <= self._buffer_ns) & (stamp_ns >= last_ns))
        tracks.motion.predict((stamp_ns - last_ns) * 1e-9)
        best = rows[:LIMIT]
        owners = self._match(best, tracks.seen_ns == last_ns)

        found = np.flatnonzero(owners != _NOBODY)
        tracks.see(owners[found], best[found], stamp_ns)
        begun = np.flatnonzero((owners == _NOBODY) & (best[:, 4] >= config.start_threshold))
        begun = begun[self._are_new(best[begun])][: LIMIT - len(tracks)]
        owners[begun] = np.arange(len(tracks), len(tracks) + len(begun))
        tracks.extend(_Tracks.start(best[begun], stamp_ns))

        ripe = np.flatnonzero((tracks.identities == UNTRACKED) & (tracks.hits >= config.minimum_hits))
        tracks.identities[ripe] = np.arange(self._given + 1, self._given + 1 + len(ripe))
        self._given += len(ripe)

        identities = np.full(len(rows), UNTRACKED, np.int64)
        owned = np.flatnonzero(owners != _NOBODY)
        identities[owned] = tracks.identities[owners[owned]]
        tracks.keep((tracks.identities != UNTRACKED) | (tracks.seen_ns == stamp_ns))
        return identities

    def _are_new(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows stand for things that neither a track nor a better row stands for."""
        tracks = self._tracks
        boxes = np.concatenate((tracks.motion.boxes(), rows[:, :4]))
        classes = np.concatenate((tracks.classes, rows[:, 5]))
        same = intersections_over_unions(rows[:, :4], boxes) >= _SAME_IOU
        same &= rows[:, 5:6] == classes
        same &= np.tri(len(rows), len(boxes), len(tracks) - 1, dtype=bool)  # tracks, and rows before it
        return np.asarray(~same.any(axis=1))

    def _match(self, rows: Rows, recent: NDArray[np.bool_]) -> Indices:
        """Return which track each row belongs to, or `_NOBODY`; recent tracks were seen in the last frame."""
        config, tracks = self._config, self._tracks
        expected = tracks.motion.boxes()
        known = tracks.identities != UNTRACKED
        high = rows[:, 4] >= config.high_threshold
        low = ~high & (rows[:, 4] >= config.low_threshold)
        owners = np.full(len(rows), _NOBODY, np.intp)
        free = np.ones(len(tracks), bool)
        for candidates, seen, least_iou in (
            (known, high, config.iou_threshold),
            (known & recent, low, _LOW_IOU),
            (~known, high, config.iou_threshold),
        ):
            which = np.flatnonzero(candidates & free)
            wanted = np.flatnonzero(seen & (owners == _NOBODY))
            iou = intersections_over_unions(expected[which], rows[wanted, :4])
            iou[(iou < least_iou) | (tracks.classes[which][:, None] != rows[wanted, 5])] = 0.0
            if not iou.any():
                continue
            # Of two detections of one thing the better one is it, in every frame.
            first, second = self._assign(iou * rows[wanted, 4], maximize=True)
            matched = iou[first, second] > 0.0
            owners[wanted[second[matched]]] = which[first[matched]]
            free[which[first[matched]]] = False
        return owners
