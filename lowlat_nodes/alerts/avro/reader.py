# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads batches of records that one schema wrote, into the columns that a projection names."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lowlat_nodes.alerts.avro import interpreter
from lowlat_nodes.alerts.avro.program import Layout, Program, compile_program
from lowlat_nodes.alerts.avro.refusal import Refusal, explain
from lowlat_nodes.alerts.avro.schema import parse
from lowlat_nodes.alerts.projection import Decoded, Projection, Rows
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError

Body: TypeAlias = bytes | bytearray | memoryview

MACHINES: dict[str, type[interpreter.Machine | _machine.Machine]] = {"interpreted": interpreter.Machine}
"""What can run programs here, by mechanism, the fastest last."""

with contextlib.suppress(ImportError):
    from lowlat_nodes.alerts.avro import _machine

    MACHINES["compiled"] = _machine.Machine

COMPILED = "compiled" in MACHINES
"""Whether the extension was built."""


class BadRecord(LowlatError):
    """The bytes of a record are not what its schema says."""


@dataclass(frozen=True)
class Limits:
    """How much is read before a record is refused.

    Attributes:
        rows: Rows of one record, all tables together.
        bytes: Memory that the rows of a batch take.
    """

    rows: int = 1_000_000
    bytes: int = 1 << 30


class Reader:
    """Reads records of one writer's schema; made once for each schema.

    A record that breaks off, that says more than it holds or that bytes follow is refused, and the others of
    its batch are read. Nothing that a record holds makes it take more time or memory than its length and the
    limits allow.

    Args:
        schema: The writer's schema, JSON.
        projection: What to read. What the schema has not is null.
        limits: When a record is refused for its size.
        mechanism: `compiled` by the extension, `interpreted` in Python, or `auto`: the first that is here.

    Attributes:
        schema: The schema as a type.
        mechanism: What reads.

    Raises:
        BadSchema: The schema is not valid, or has a type that a column does not take.
        ConfigurationError: The extension was not built.
    """

    def __init__(
        self, schema: bytes, projection: Projection, limits: Limits = Limits(), mechanism: str = "auto"
    ) -> None:
        self.schema = parse(schema)
        self._names = tuple(projection.tables)
        self._reading = compile_program(self.schema, projection)
        self._skipping = compile_program(self.schema, Projection({}))
        self.mechanism = list(MACHINES)[-1] if mechanism == "auto" else mechanism
        self._machine = _machine_for(self._reading, limits, self.mechanism)
        self._skipper = _machine_for(self._skipping, limits, self.mechanism)

    def read(self, bodies: Sequence[Body]) -> Decoded:
        """Return the columns of some records, each in a buffer of its own and without a header."""
        read, refusals = self._machine.read(bodies)
        layouts = self._reading.layouts
        tables = {}
        for name, layout, (rows, offsets, columns) in zip(self._names, layouts[1:], read[1:], strict=True):
            tables[name] = Rows(np.frombuffer(offsets, np.int64), _columns(layout, rows, columns))
        refused = {refusal[0]: explain(Refusal(*refusal), self._reading.places) for refusal in refusals}
        return Decoded(_columns(layouts[0], read[0][0], read[0][2]), tables, refused)

    def length(self, body: Body) -> int:
        """Return the bytes of the one record at the start of a buffer.

        Raises:
            BadRecord: There is no whole record.
        """
        length, refusal = self._skipper.length(body)
        if refusal is not None:
            raise BadRecord(explain(Refusal(*refusal), self._skipping.places))
        return length


def _machine_for(program: Program, limits: Limits, mechanism: str) -> interpreter.Machine | _machine.Machine:
    if mechanism not in MACHINES:
        msg = (
            f"records cannot be read by the mechanism {mechanism!r} here, only by {' or '.join(MACHINES)}; "
            "the extension is built by pip install, where there is a C compiler"
        )
        raise ConfigurationError(msg)
    layouts = tuple(
        (
            layout.stride,
            layout.empty,
            tuple((cell.offset, cell.dtype.itemsize) for cell in layout.cells.values()),
        )
        for layout in program.layouts
    )
    return MACHINES[mechanism](program.code, program.symbols, layouts, limits.rows, limits.bytes)


def _columns(layout: Layout, rows: int, buffer: bytearray) -> dict[str, np.ndarray]:
    """Return the columns that lie in a buffer one after another, each at a multiple of 8 bytes."""
    columns, offset = {}, 0
    for name, cell in layout.cells.items():
        columns[name] = np.ndarray(rows, cell.dtype, buffer, offset)
        offset += (rows * cell.dtype.itemsize + 7) & ~7
    return columns
