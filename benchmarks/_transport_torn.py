# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a reader that holds frames ever sees one that changes in its hands.

First a stream, from a publisher to a subscriber; then bare slots of shared memory, with leases and without.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from typing import Any, Final

from lowlat_nodes.benchmarks import _transport_leases
from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._transport_torn_ends import NUMBERS

_SLOTS_SHARE: Final = 0.2


def measure(count: int) -> dict[str, Any]:
    """Return how many frames were torn, with leases and without, and what became of the rest.

    Args:
        count: How many a subscriber holds; of bare slots a fifth as many are held.
    """
    slots = _transport_leases.measure(round(_SLOTS_SHARE * count))
    without = slots.pop("without_leases")
    stream = _hold(count)
    return {
        "torn": stream["torn"] + slots["torn"],
        "torn_without_leases": without,
        "holding": stream,
        "holding_slots": slots,
    }


def _hold(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/frames"
        writer = Instrument("_transport_torn_ends", role="writer", endpoint=endpoint)
        with closing(writer):
            writer.hear()
            began_s = time.monotonic()
            reader = Instrument("_transport_torn_ends", role="reader", endpoint=endpoint, count=count)
            with closing(reader):
                read = reader.hear()
            took_s = time.monotonic() - began_s
            written = writer.finish()
            writer.end()
    return {"frame_bytes": 8 * NUMBERS, "seconds": round(took_s, 1), **written, **read}
