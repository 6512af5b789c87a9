# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What it takes to write the header of an image, and to read one with a view on the pixels."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.frames import decode, encode

_SHAPE = (720, 1280, 3)
_BATCH = 200


def measure(batches: int) -> dict[str, Any]:
    """Return the medians over batches of calls, which take turns."""
    pixels = np.zeros(_SHAPE, np.uint8)
    message = Message("out", Image(pixels, "rgb8"), Trace(time.time_ns()), frame_id="camera")
    topic = "camera/image"  # a subscriber has looked at the first frame
    frames = [zmq.Frame(frame) for frame in encode(message, topic, 1_000_000)]
    if decode(frames).message.payload.data.shape != _SHAPE:
        raise RuntimeError("expected the image that was encoded")
    took: dict[str, list[float]] = {"encode_us": [], "decode_us": []}
    for _ in range(batches):
        took["encode_us"].append(_us(lambda: encode(message, topic, 1_000_000)))
        took["decode_us"].append(_us(lambda: decode(frames, topic=topic)))
    return {name: round(statistics.median(found), 3) for name, found in took.items()} | {
        "codec": {
            "image_bytes": pixels.nbytes,
            "header_bytes": len(frames[1]),
            **{name.replace("us", "min_us"): round(min(found), 3) for name, found in took.items()},
        }
    }


def _us(call: Callable[[], object]) -> float:
    began_ns = time.perf_counter_ns()
    for _ in range(_BATCH):
        call()
    return (time.perf_counter_ns() - began_ns) * 1e-3 / _BATCH
