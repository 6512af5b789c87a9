# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""vision_msgs/msg/Detection2DArray (4.1.1): written in one pass, however many detections there are.

A detection is text around 49 float64, of which five differ: score, centre and size. Text and constants come
from templates, one for each class and alignment; NumPy fills in the rest by index.

What is written has one hypothesis per detection, whose `class_id` is the name of the class: who wants numbers
there gives numbers as names. Pose and covariance are zero, `id` is the number of the track or empty.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Detections, Floats
from lowlat_nodes.transport.cdr.codec import Decoded
from lowlat_nodes.transport.cdr.wire import SEQUENCE_LIMIT, START, CdrError, Reader, Writer, pack_time

_STAMP = 8  # bytes
_HYPOTHESIS = 44  # float64: score, position (3), orientation (4), covariance (36)
_BOX = 5  # float64: centre x, y, theta, size x, y
_ORIENTATION_W = 7
_FILLED = np.array([0, *(_HYPOTHESIS + field for field in (0, 1, 3, 4))])

_LEAST_RESULT = 4 + 8 * _HYPOTHESIS
_LEAST_DETECTION = _STAMP + 4 + 4 + 8 * _BOX + 4
_UNTRACKED = -1
_NO_DIGITS = 18  # more than an int64 is sure to hold


def read_detections(reader: Reader) -> Decoded:
    """Read detections; they come by falling score, and classes are numbered as they appear.

    Of several hypotheses the best counts. Without any, the score is 0 and the class has no name. A rotated
    box becomes the upright one around it. What has an id that is no number counts as not tracked.
    """
    stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    count = reader.count("detections", _LEAST_DETECTION, SEQUENCE_LIMIT)
    values = reader.aligned_floats()
    classes: dict[str, int] = {}
    scores, boxes, numbers, tracks = [], [], [], []
    for _ in range(count):
        reader.time_ns("stamp")
        reader.string("frame_id")
        name, best = "", None
        for _ in range(reader.count("results", _LEAST_RESULT, SEQUENCE_LIMIT)):
            candidate = reader.string("class_id")
            score = float(values[_take_floats(reader, _HYPOTHESIS, "hypothesis")])
            if best is None or score > best or math.isnan(best):
                name, best = candidate, score
        scores.append(best or 0.0)
        numbers.append(classes.setdefault(name, len(classes)))
        boxes.append(_take_floats(reader, _BOX, "bbox"))
        tracks.append(_track(reader.string("id")))
    rows = np.empty((count, 6), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # a float64 may become infinite
        rows[:, :4] = _corners(values[np.array(boxes, np.intp)[:, None] + np.arange(_BOX)])
        rows[:, 4] = scores
    rows[:, 5] = numbers
    order = np.argsort(-rows[:, 4], kind="stable")
    tracked = np.array(tracks, np.int64)[order] if max(tracks, default=_UNTRACKED) >= 0 else None
    return Decoded(stamp_ns, frame_id, Detections(rows[order], tuple(classes), tracked))


def _take_floats(reader: Reader, count: int, what: str) -> int:
    """Move over float64 values and return where they begin in `aligned_floats`."""
    reader.align(8)
    return (reader.take(8 * count, what) - START) // 8


def _corners(boxes: Floats) -> Floats:
    x, y, theta, width, height = boxes.T
    if theta.any():
        cosine, sine = np.abs(np.cos(theta)), np.abs(np.sin(theta))
        width, height = cosine * width + sine * height, sine * width + cosine * height
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)


def _track(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _NO_DIGITS else _UNTRACKED


def write_detections(writer: Writer, stamp_ns: int, frame_id: str, payload: Detections) -> bytes:
    """Write detections, each with the header of all."""
    rows, tracks = checked_rows(payload), payload.tracks
    if tracks is not None and tracks.shape != (len(rows),):
        raise CdrError(f"tracks: expected {len(rows)} numbers, one per row; got {tracks.shape}")
    writer.time_ns(stamp_ns)
    writer.string(frame_id)
    writer.u4(len(rows))
    if not len(rows):
        return writer.finish()
    ids = [""] * len(rows) if tracks is None else [str(n) if n >= 0 else "" for n in tracks.tolist()]
    tails = [_tail(text) for text in ids]
    phases = [(len(writer) - START) % 8, *[len(tail) % 8 for tail in tails[:-1]]]
    bodies = _bodies(frame_id, payload.names)
    chunks = [b""] * (2 * len(rows))
    chunks[::2] = [bodies[phase][number] for phase, number in zip(phases, rows[:, 5].tolist(), strict=True)]
    chunks[1::2] = tails
    chunks[-1] = _string(ids[-1])
    # Before the encapsulation header goes as much as makes the alignment of CDR that of the memory.
    buffer = bytearray().join([bytes(START), writer.finish(), *chunks])
    ends = np.cumsum(np.fromiter(map(len, chunks), np.intp, len(chunks))) + (START + len(writer))
    floats = np.frombuffer(buffer, "<f8", len(buffer) // 8)
    floats[ends[::2, None] // 8 - (_HYPOTHESIS + _BOX) + _FILLED] = _filled(rows)
    starts = np.concatenate([[START + len(writer)], ends[1:-1:2]])
    words = np.frombuffer(buffer, "<u4", len(buffer) // 4)
    words[starts[:, None] // 4 + np.arange(2)] = np.frombuffer(pack_time(stamp_ns), "<u4")
    return bytes(memoryview(buffer)[START:])


def checked_rows(payload: Detections) -> NDArray[np.float32]:
    """Return the rows of detections.

    Raises:
        CdrError: If they are not [n, 6].
    """
    rows = payload.rows
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise CdrError(f"rows: expected [n, 6], got {rows.shape}")
    return rows


def _filled(rows: NDArray[np.float32]) -> Floats:
    """Return score, centre and size of each row."""
    left, top, right, bottom, score, _ = rows.T.astype(np.float64)
    filled = np.empty((len(rows), _FILLED.size))
    columns = filled.T
    columns[0] = score
    with np.errstate(invalid="ignore"):  # between infinities
        np.add(left, right, columns[1])
        np.add(top, bottom, columns[2])
        np.subtract(right, left, columns[3])
        np.subtract(bottom, top, columns[4])
    columns[1:3] /= 2
    return filled


class _Bodies(dict[float, bytes]):
    """A detection from its header to its box, by the number of the class; made as it is first needed.

    Args:
        phase: Where it begins, modulo 8.
        frame_id: Of the header.
        names: Of the classes.
    """

    def __init__(self, phase: int, frame_id: str, names: Sequence[str]) -> None:
        super().__init__()
        self._phase = phase
        self._frame_id = frame_id
        self._names = names

    def __missing__(self, number: float) -> bytes:
        if not number.is_integer() or not 0 <= number < len(self._names):
            raise CdrError(f"rows: expected a class from 0 to {len(self._names) - 1}, got {number:g}")
        writer = Writer()
        for _ in range(self._phase // 4):
            writer.u4(0)
        begin = len(writer)
        writer.time_ns(0)
        writer.string(self._frame_id)
        writer.u4(1)
        writer.string(self._names[int(number)])
        writer.align(8)
        constants = np.zeros(_HYPOTHESIS + _BOX, "<f8")
        constants[_ORIENTATION_W] = 1.0
        self[number] = body = writer.finish(constants.tobytes())[begin:]
        return body


@functools.lru_cache(maxsize=16)
def _bodies(frame_id: str, names: tuple[str, ...]) -> dict[int, _Bodies]:
    return {phase: _Bodies(phase, frame_id, names) for phase in (0, 4)}


def _string(text: str) -> bytes:
    writer = Writer()
    writer.string(text)
    return writer.finish()[START:]


@functools.lru_cache(maxsize=1024)
def _tail(track: str) -> bytes:
    """Return the id of a detection and the padding before the next."""
    text = _string(track)
    return text + bytes(-len(text) % 4)
