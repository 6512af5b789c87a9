# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Temporal ensembling: the average of all chunks that speak about an instant."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np

from lowlat_nodes.control.chunk import Chunk


class TemporalEnsemble:
    """Averages overlapping predictions as ACT does (2304.13705, section IV-C).

    The weight of the i-th oldest chunk is exp(-decay * i): the oldest counts most. Each new chunk is replaced
    by the average of what it and its predecessors say about its rows, which is the paper's average as long as
    no newer one is there.

    Args:
        decay: Called m there.
        chunks: How many are remembered; all of one horizon if each tick brings one.
    """

    def __init__(self, *, decay: float = 0.01, chunks: int = 64) -> None:
        self._decay = decay
        self._chunks: deque[Chunk] = deque(maxlen=chunks)

    def clear(self) -> None:
        """Forget all chunks."""
        self._chunks.clear()

    def blend(self, chunk: Chunk) -> Chunk:
        """Remember a chunk and return the average over its rows; one that is not finite is returned as is."""
        if not np.isfinite(chunk.targets).all():
            return chunk
        self._chunks.append(chunk)
        times_ns = chunk.start_ns + np.arange(len(chunk.targets)) * chunk.period_ns
        total, weights = np.zeros_like(chunk.targets), np.zeros(len(times_ns))
        heard = 0
        for other in tuple(self._chunks):
            if other.last_ns < chunk.start_ns:
                self._chunks.remove(other)
                continue
            covered = (times_ns >= other.start_ns) & (times_ns <= other.last_ns)
            weight = math.exp(-self._decay * heard)
            total[covered] += weight * other.sample_all(times_ns[covered])
            weights[covered] += weight
            heard += 1
        return replace(chunk, targets=total / weights[:, None])
