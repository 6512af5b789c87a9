# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where to cut a row of nodes so that no part takes longer than wished, and the cuts cost little."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

_HALVINGS = 30


def plan(
    times_ns: Sequence[float], costs_ns: Sequence[float], longest_ns: float, most: int
) -> tuple[int, ...]:
    """Return the places to cut at that cost least.

    A denoising policy with its steps written out is so cut between steps, where only the chunk and what it
    is conditioned on are alive.

    Args:
        times_ns: What each node takes.
        costs_ns: What a cut before each node costs; infinite where there must be none.
        longest_ns: What a part may take. Where that cannot be had, because there is no place to cut or the
            parts would be too many, it is raised as little as possible.
        most: How many parts there may be, at least 1.

    Returns:
        Indices of nodes, ascending: each begins a part.
    """
    if most < 1:
        raise ValueError(f"expected at least 1 part, got {most}")
    places = [0, *(index for index in range(1, len(times_ns)) if math.isfinite(costs_ns[index]))]
    sums = [0.0, *itertools.accumulate(times_ns)]
    ends = [*places[1:], len(times_ns)]
    costs = [costs_ns[place] for place in places[1:]]
    indivisible = max((sums[end] - sums[place] for place, end in zip(places, ends, strict=True)), default=0.0)
    bound = max(longest_ns, indivisible)
    cheapest = _cheapest(places, sums, costs, bound)
    if len(cheapest) < most:
        return cheapest
    # With this on each cut the cheapest way is one with as few as will do.
    dear = [cost + sum(costs) + 1.0 for cost in costs]
    fewest = _cheapest(places, sums, dear, bound)
    if len(fewest) < most:
        return fewest
    low, high = bound, sums[-1]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if len(_cheapest(places, sums, dear, middle)) < most:
            high = middle
        else:
            low = middle
    return _cheapest(places, sums, dear, high)


def _cheapest(
    places: Sequence[int], sums: Sequence[float], costs: Sequence[float], bound: float
) -> tuple[int, ...]:
    """Return the cheapest cuts with no part above a bound; of equally cheap ones, the fewest.

    Args:
        places: Where a part may begin, the first one 0.
        sums: Time before each node, and the whole in the end.
        costs: Of a cut at each of the places after the first.
        bound: What a part may take, at least the time between two neighbouring places.
    """
    ends = [*places, len(sums) - 1]
    slack = bound * 1e-9 + 1e-9  # what sums of floats are off by
    best: list[tuple[float, int, int]] = [(0.0, 0, 0)]  # to each end: cost, parts, where the last one begins
    first = 0
    for index in range(1, len(ends)):
        while sums[ends[index]] - sums[ends[first]] > bound + slack and first < index - 1:
            first += 1
        best.append(
            min(
                (best[begin][0] + (costs[begin - 1] if begin else 0.0), best[begin][1] + 1, begin)
                for begin in range(first, index)
            )
        )
    cuts = []
    at = best[-1][2]
    while at:
        cuts.append(ends[at])
        at = best[at][2]
    return tuple(reversed(cuts))
