# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A model whose parts run one after the other, and which gives way in between."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.model import Signature
from lowlat_nodes.inference.segments.graph import Part
from lowlat_nodes.inference.turn import UNSHARED, Turn

_KEPT = 8  # sets of sizes for which there is memory

Shapes = tuple[tuple[int, ...], ...]
Between = Callable[[], None]


@dataclass(frozen=True)
class OpenPart:
    """A part that is ready to run.

    Attributes:
        part: Which nodes it is.
        session: Of ONNX Runtime.
    """

    part: Part
    session: Any


class SegmentedModel:
    """Runs the parts of a graph as one model, `Turn.between` in between.

    What passes from part to part lies in memory that is allocated once for each set of sizes of the inputs,
    where those come back; no part copies what another has made.

    Args:
        path: The file.
        said: What the whole graph says of itself.
        parts: In the order of their nodes.
        turn: Whom to give way to.

    Attributes:
        turn: May be replaced between two runs.
    """

    def __init__(self, path: Path, said: Signature, parts: Sequence[OpenPart], turn: Turn = UNSHARED) -> None:
        self.path = path
        self.inputs = said.inputs
        self.outputs = said.outputs
        self.metadata = said.metadata
        self.turn = turn
        self._parts = tuple(parts)
        self._bound: OrderedDict[Shapes, _Bound | None] = OrderedDict()

    @property
    def parts(self) -> int:
        """Return how many there are."""
        return len(self._parts)

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run all parts; what is returned is good until the next run."""
        found = self._run(feed, self.turn.between)
        return [found[name] for name in outputs]

    def time(self, feed: Mapping[str, np.ndarray], runs: int) -> list[float]:
        """Return the shortest time of each part in ns, without giving way."""
        self._run(feed, _go_on)  # the first ones allocate
        self._run(feed, _go_on)
        rows = []
        for _ in range(runs):
            stamps = _Stamps()
            stamps.mark()
            self._run(feed, stamps.mark)
            stamps.mark()
            rows.append(stamps.times_ns[-1 - len(self._parts) :])  # a run that is begun again leaves more
        times: list[float] = np.diff(rows, axis=1).min(axis=0).astype(float).tolist()
        return times

    def _run(self, feed: Mapping[str, np.ndarray], between: Between) -> Mapping[str, np.ndarray]:
        given = {name: np.ascontiguousarray(feed[name]) for name in self.inputs}
        shapes = tuple(array.shape for array in given.values())
        if (bound := self._bound.get(shapes)) is not None:
            self._bound.move_to_end(shapes)
            try:
                return bound.run(given, between)
            except _UnfitError:  # sizes that hang on values, or what `_run_free` raises again
                self._bound[shapes] = None
        values = self._run_free(given, between)
        if shapes not in self._bound:
            self._bound[shapes] = _Bound(self._parts, values)
            if len(self._bound) > _KEPT:
                self._bound.popitem(last=False)
        return {name: values[name].numpy() for name in self.outputs}

    def _run_free(self, given: Mapping[str, np.ndarray], between: Between) -> dict[str, Any]:
        """Run the parts with memory that ONNX Runtime allocates, and return all that crossed."""
        import onnxruntime

        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in given.items()}
        for number, each in enumerate(self._parts):
            if number:
                between()
            taken = {name: values[name] for name in each.part.inputs}
            made = each.session.run_with_ort_values(list(each.part.outputs), taken, None)
            values.update(zip(each.part.outputs, made, strict=True))
        return values


class _Stamps:
    """Times of a steady clock, ns."""

    def __init__(self) -> None:
        self.times_ns: list[int] = []

    def mark(self) -> None:
        self.times_ns.append(time.perf_counter_ns())


class _UnfitError(Exception):
    """Parts do not run with the memory that there is."""


class _Bound:
    """Parts with memory for what they make, for inputs of certain sizes.

    Args:
        parts: In their order.
        values: What they made of such inputs: the memory is of these sizes.
    """

    def __init__(self, parts: Sequence[OpenPart], values: Mapping[str, Any]) -> None:
        import onnxruntime

        self._arrays: dict[str, np.ndarray] = {}
        made: dict[str, Any] = {}
        self._steps: list[tuple[Any, Any, list[str]]] = []
        for each in parts:
            binding = each.session.io_binding()
            for name in each.part.inputs:
                if name in made:
                    binding.bind_ortvalue_input(name, made[name])
            for name in each.part.outputs:
                # Places that values share save memory and, as measured, no time.
                self._arrays[name] = np.empty_like(values[name].numpy())
                made[name] = onnxruntime.OrtValue.ortvalue_from_numpy(self._arrays[name])
                binding.bind_ortvalue_output(name, made[name])
            given = [name for name in each.part.inputs if name not in made]
            self._steps.append((each.session, binding, given))

    def run(self, given: Mapping[str, np.ndarray], between: Between) -> Mapping[str, np.ndarray]:
        """Run the parts once.

        Raises:
            _UnfitError: Where ONNX Runtime cannot, as when something is not of the size that it was.
        """
        for number, (session, binding, names) in enumerate(self._steps):
            if number:
                between()
            for name in names:
                binding.bind_cpu_input(name, given[name])
            try:
                session.run_with_iobinding(binding)
            except Exception as error:  # it has types of its own
                raise _UnfitError from error
        return self._arrays


def _go_on() -> None:
    pass
