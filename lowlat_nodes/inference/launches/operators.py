# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What takes the time of an inference that launches nothing: operators on the host, and what is around."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lowlat_nodes.inference.launches.figures import Cost, costliest, covered_us
from lowlat_nodes.inference.launches.marks import Inference, by_batch, unprofiled_us
from lowlat_nodes.inference.launches.trace import Span, Trace


@dataclass(frozen=True)
class OperatorFigures:
    """One inference on the host: that of median latency among those of a batch size. Times are µs.

    Attributes:
        batch: The batch size, 0 where the trace does not say it.
        inferences: How many there were.
        operators: Calls of operators, without those that an operator makes.
        latency_us: From the beginning to the end.
        unprofiled_us: The same without the profiler, which makes it longer; NaN if it is not known.
        operator_us: In which some operator ran.
        outside_us: The rest: Python, dispatch, preparing inputs and outputs.
        costliest: The operators that took most time themselves, without those that they called; means over
            all inferences.
    """

    batch: int
    inferences: int
    operators: int
    latency_us: float
    unprofiled_us: float
    operator_us: float
    outside_us: float
    costliest: tuple[Cost, ...]


def operator_figures(trace: Trace, most: int = 10) -> list[OperatorFigures]:
    """Return the figures of each batch size of a trace, the smallest first.

    Args:
        trace: With any number of inferences.
        most: How many operators are named.
    """
    unprofiled = unprofiled_us(trace)
    return [
        _of_batch(batch, found, unprofiled.get(batch, math.nan), most) for batch, found in by_batch(trace)
    ]


def _of_batch(batch: int, found: Sequence[Inference], unprofiled: float, most: int) -> OperatorFigures:
    selves = [one for inference in found for one in _selves(inference.operators)]
    typical = sorted(found, key=_latency_us)[len(found) // 2]
    operator_us = covered_us(
        (span.start_us, min(span.end_us, typical.span.end_us)) for span in typical.operators
    )
    return OperatorFigures(
        batch,
        len(found),
        operators=sum(one.is_outer for one in _selves(typical.operators)),
        latency_us=_latency_us(typical),
        unprofiled_us=unprofiled,
        operator_us=operator_us,
        outside_us=_latency_us(typical) - operator_us,
        costliest=costliest(((one.name, one.self_us) for one in selves), len(found), most),
    )


def _latency_us(inference: Inference) -> float:
    return inference.span.end_us - inference.span.start_us


@dataclass
class _Self:
    """An operator and its time without those that it called."""

    name: str
    end_us: float
    self_us: float
    is_outer: bool


def _selves(operators: Sequence[Span]) -> Iterator[_Self]:
    """Yield each operator, by threads, once what it called is known."""
    stacks: dict[tuple[str, str], list[_Self]] = defaultdict(list)
    # One that begins with another and ends later has called it.
    for span in sorted(operators, key=lambda span: (span.start_us, -span.end_us)):
        stack = stacks[span.thread]
        while stack and stack[-1].end_us <= span.start_us:
            yield stack.pop()
        elapsed_us = span.end_us - span.start_us
        if stack:
            stack[-1].self_us -= elapsed_us
        stack.append(_Self(span.name, span.end_us, elapsed_us, is_outer=not stack))
    for stack in stacks.values():
        yield from reversed(stack)
