# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares a bag with a golden one, field by field and with tolerances."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.bag.codec import decode_frames
from lowlat_nodes.transport.bag.framing import is_framed
from lowlat_nodes.transport.bag.reader import BagReader
from lowlat_nodes.transport.bag.record import Recorded
from lowlat_nodes.transport.bag.types import MessageTypes

Found = tuple[str, Any, Any]  # field, expected, got

_S = 1_000_000_000
_TIMES = ("builtin_interfaces/msg/Time", "builtin_interfaces/msg/Duration")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a value may be from the golden one.

    A floating-point number a equals a golden g if abs(a - g) <= absolute + relative * abs(g); NaN equals NaN.
    Stamps and durations may differ by `time_ns`. Everything else must be the same.
    """

    absolute: float = 0.0
    relative: float = 0.0
    time_ns: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two bags differ.

    Attributes:
        topic: The topic.
        index: Number of the message within its topic, from 0.
        time_ns: Stamp of that message in the golden bag (in the other one if it is not there).
        field: Path of the field, such as `points[3].positions[0]`; empty if it is about the message or topic.
        expected: What the golden bag has.
        got: What the other bag has.
    """

    topic: str
    index: int
    time_ns: int
    field: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        """Say it in one line."""
        where = f"{self.topic} [{self.index}] at {self.time_ns / _S:.9f}"
        field = f" {self.field}" if self.field else ""
        return f"{where}{field}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        compared: Pairs of messages that were compared.
        difference: The first difference in time, None if the bags are equal.
    """

    compared: int
    difference: Difference | None


def compare(golden: BagReader, actual: BagReader, tolerance: Tolerance | None = None) -> Comparison:
    """Compare two bags topic by topic; of the differences, the first in time is told.

    Topics are compared in the order of their messages, so that it does not matter how topics interleave.
    """
    checker = _Checker(tolerance or Tolerance())
    topics = dict.fromkeys(topic.name for bag in (golden, actual) for topic in bag.topics)
    found = [
        difference for topic in topics if (difference := checker.topic(topic, golden, actual)) is not None
    ]
    return Comparison(checker.compared, min(found, key=lambda item: item.time_ns, default=None))


class _Checker:
    def __init__(self, tolerance: Tolerance) -> None:
        self.compared = 0
        self._tolerance = tolerance
        self._types = MessageTypes()

    def topic(self, topic: str, golden: BagReader, actual: BagReader) -> Difference | None:
        pairs = itertools.zip_longest(golden.messages({topic}), actual.messages({topic}))
        for index, (expected, got) in enumerate(pairs):
            self.compared += 1
            for field, wanted, found in self._message(expected, got):
                return Difference(topic, index, (expected or got).stamp_ns, field, wanted, found)
        return None

    def _message(self, expected: Recorded | None, got: Recorded | None) -> Iterator[Found]:
        if expected is None or got is None:
            wanted, found = ("no message" if message is None else "a message" for message in (expected, got))
            yield "", wanted, found
        elif expected.type != got.type:
            yield "type", expected.type, got.type
        elif abs(expected.stamp_ns - got.stamp_ns) > self._tolerance.time_ns:
            yield "stamp of the bag (ns)", expected.stamp_ns, got.stamp_ns
        elif expected.data != got.data:
            yield from self._contents(expected, got)

    def _contents(self, expected: Recorded, got: Recorded) -> Iterator[Found]:
        decode = self._framed if is_framed(expected.type) else self._types.decode
        try:
            wanted, found = (decode(item.type, item.data) for item in (expected, got))
        except LowlatError as error:
            yield f"bytes ({error})", _words(expected.data), _words(got.data)
        else:
            yield from self._values("", wanted, found)

    @staticmethod
    def _framed(_type: str, data: bytes) -> dict[str, Any]:
        # Not the number and the run of its publisher, which every replay counts anew.
        message = decode_frames(data)
        return {"frame_id": message.frame_id, "trace": message.trace, "payload": message.payload}

    def _values(self, path: str, expected: Any, got: Any) -> Iterator[Found]:
        """Yield the differences of two values, in the order of the fields."""
        if type(expected) is not type(got):
            yield f"type of {path}", type(expected).__name__, type(got).__name__
        elif getattr(expected, "__msgtype__", None) in _TIMES:
            wanted_ns, found_ns = (item.sec * _S + item.nanosec for item in (expected, got))
            yield from self._times(f"{path} (ns)", wanted_ns, found_ns)
        elif isinstance(expected, Trace):
            for name, wanted_ns in _fields(expected).items():
                yield from self._times(f"{path}.{name}", wanted_ns, getattr(got, name))
        elif isinstance(expected, np.ndarray):
            yield from self._arrays(path, expected, got)
        elif isinstance(expected, float):
            yield from self._arrays(path, np.array(expected), np.array(got))
        elif isinstance(expected, list | tuple):
            yield from self._lists(path, expected, got)
        elif dataclasses.is_dataclass(expected) or isinstance(expected, dict):
            yield from self._named(path, _fields(expected), _fields(got))
        elif expected != got:
            yield path, expected, got

    def _times(self, path: str, expected_ns: int, got_ns: int) -> Iterator[Found]:
        if abs(expected_ns - got_ns) > self._tolerance.time_ns:
            yield path, expected_ns, got_ns

    def _lists(self, path: str, expected: Sequence[Any], got: Sequence[Any]) -> Iterator[Found]:
        if len(expected) != len(got):
            yield f"length of {path}", len(expected), len(got)
            return
        for index, (wanted, found) in enumerate(zip(expected, got, strict=True)):
            yield from self._values(f"{path}[{index}]", wanted, found)

    def _named(self, path: str, expected: Mapping[Any, Any], got: Mapping[Any, Any]) -> Iterator[Found]:
        if expected.keys() != got.keys():
            yield f"names in {path}", list(expected), list(got)
            return
        for name, wanted in expected.items():
            yield from self._values(f"{path}.{name}" if path else str(name), wanted, got[name])

    def _arrays(self, path: str, expected: NDArray[Any], got: NDArray[Any]) -> Iterator[Found]:
        if expected.dtype != got.dtype:
            yield f"type of {path}", expected.dtype.str, got.dtype.str
            return
        if expected.shape != got.shape:
            what = "length" if expected.ndim == got.ndim == 1 else "shape"
            wanted, found = (array.size if what == "length" else array.shape for array in (expected, got))
            yield f"{what} of {path}", wanted, found
            return
        if expected.dtype.kind == "f":
            limits = self._tolerance
            equal = np.isclose(got, expected, limits.relative, limits.absolute, equal_nan=True)
        else:
            equal = expected == got
        if not np.all(equal):
            at = int(np.argmin(equal))
            places = "".join(f"[{place}]" for place in np.unravel_index(at, expected.shape))
            yield f"{path}{places}", expected.flat[at].item(), got.flat[at].item()


def _fields(item: Any) -> Mapping[Any, Any]:
    if isinstance(item, dict):
        return item
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}


def _words(data: bytes) -> str:
    return f"{len(data)} bytes, {data[:16].hex()}..."
