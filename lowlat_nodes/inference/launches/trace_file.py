# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The events of a trace file in the Trace Event Format, one after another, in bounded memory.

Google's "Trace Event Format" is what PyTorch's profiler (Kineto), ONNX Runtime and chrome://tracing write: an
array of events, or an object with such an array as `traceEvents`. Traces are large, come from other machines
and end in the middle of an event when the traced program was killed.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TextIO

from lowlat_nodes.stream.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_CHARACTERS = 1 << 32
"""Of a trace, unpacked."""

LONGEST_EVENT = 1 << 20
"""Characters of one event."""

_LONGEST_HEAD = 16 << 20  # what stands before the events: devices, the log of the profiler
_PIECE = 1 << 18
_GZIP = b"\x1f\x8b"
_ARRAY = re.compile(r"\s*\[")
_IN_OBJECT = re.compile(r'"traceEvents"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


class Text(Protocol):
    """What text is read from."""

    def read(self, size: int, /) -> str:
        """Return up to so many characters, none at the end."""
        ...


class Events:
    """Iterates over the events of a trace.

    Args:
        text: The trace.
        name: Of the trace, for messages.

    Attributes:
        complete: Whether the array of events was read to its end; False until then.

    Raises:
        ConfigurationError: While iterating, if there is no array of events, or too much of it.
    """

    def __init__(self, text: Text, name: str) -> None:
        self.complete = False
        self._text = text
        self._name = name
        self._buffer = ""
        self._at = 0
        self._characters = 0
        self._ended = False
        self._decoder = json.JSONDecoder(strict=False)  # names with control characters are there

    def __iter__(self) -> Iterator[Any]:
        """Yield each element of the array, whatever it is, up to its end or to what is no JSON."""
        self._find_array()
        while True:
            self._at = _BETWEEN.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at == len(self._buffer):
                if not self._more():
                    return
                continue
            if self._buffer[self._at] == "]":
                self.complete = True
                return
            try:
                event, self._at = self._decoder.raw_decode(self._buffer, self._at)
            except RecursionError as error:
                raise ConfigurationError(f"{self._name}: expected events, got one nested too deep") from error
            except ValueError:  # no JSON, or its end is yet to be read
                if len(self._buffer) - self._at > LONGEST_EVENT or not self._more():
                    return
                continue
            yield event

    def _find_array(self) -> None:
        self._more()
        start = _ARRAY.match(self._buffer)
        while start is None:
            start = _IN_OBJECT.search(self._buffer)
            if start is None and (len(self._buffer) > _LONGEST_HEAD or not self._more()):
                raise ConfigurationError(
                    f"{self._name}: expected a trace, a JSON array of events or an object with one as "
                    f"traceEvents; found none"
                )
        self._at = start.end()

    def _more(self) -> bool:
        """Read on; return whether there was more."""
        if self._ended:
            return False
        piece = self._text.read(_PIECE)
        self._ended = not piece
        self._characters += len(piece)
        if self._characters > MOST_CHARACTERS:
            raise ConfigurationError(
                f"{self._name}: expected a trace of at most {MOST_CHARACTERS} characters"
            )
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0
        return bool(piece)


def open_trace(path: Path) -> TextIO:
    """Open a trace file, plain or packed by gzip.

    Raises:
        ConfigurationError: If there is no such file, or it cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"expected a trace file, cannot read {path}: {error.strerror}") from error
    packed = file.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
    binary = io.BufferedReader(_Unpacked(file)) if packed else file
    return io.TextIOWrapper(binary, encoding="utf-8", errors="replace")


class _Unpacked(io.RawIOBase):
    """What gzip packed, as far as it goes: unlike `gzip`, it gives all that is before a missing end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # with the head of gzip
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: WriteableBuffer, /) -> int:
        view = memoryview(into)
        while not self._unpack.eof:
            try:
                data = self._unpack.decompress(self._packed, len(view))
            except zlib.error:
                return 0
            self._packed = self._unpack.unconsumed_tail
            if data:
                view[: len(data)] = data
                return len(data)
            if not self._packed:
                self._packed = self._file.read(_PIECE)
                if not self._packed:
                    return 0
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()
