# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a reader that holds frames ever sees one that changes in its hands."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from typing import Any

from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._transport_torn_ends import NUMBERS


def measure(count: int) -> dict[str, Any]:
    """Have so many frames looked at, and return how many were torn and what became of the rest."""
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
    return {
        "torn": read["torn"],
        "holding": {"frame_bytes": 8 * NUMBERS, "seconds": round(took_s, 1), **written, **read},
    }
