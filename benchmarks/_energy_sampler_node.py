# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A node of the benchmark of the energy sampler: works a little, and counts, until it is ended."""

from __future__ import annotations

import itertools
import random
import sys
import time
from pathlib import Path

from lowlat_nodes.energy.tally import Tally

_WORK_S = 200e-6


def main(name: str, folder: str, buckets: str) -> None:
    """Count results of so many buckets, at rates that vary from 5 to 40 a second."""
    tally = Tally(name, folder=Path(folder))
    dice = random.Random(name)
    shapes = [f"{64 * (1 + number)}x480" for number in range(int(buckets))]
    for shape in itertools.cycle(shapes):
        period_s = 1.0 / dice.uniform(5.0, 40.0)
        for _ in range(dice.randrange(20)):
            tally.begin(shape)
            end_s = time.perf_counter() + _WORK_S
            while time.perf_counter() < end_s:
                pass
            tally.done(1, shape)
            time.sleep(period_s)


if __name__ == "__main__":
    main(*sys.argv[1:])
