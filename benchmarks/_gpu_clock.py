# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How long work takes on a GPU, by its own events."""

from __future__ import annotations

import statistics
from collections.abc import Callable

_FIRST = 3  # that compile, load and fill caches


def gpu_s(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, from the begin to the end of its work on the GPU.

    Args:
        call: Submits work to the current stream.
        repeats: How often it is timed.
    """
    import torch

    for _ in range(_FIRST):
        call()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3)
    return statistics.median(times)
