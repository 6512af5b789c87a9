# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From an ONNX file to a model in parts, none of which takes longer than wished."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model, Signature
from lowlat_nodes.inference.onnx import OnnxModel, open_as_it_is
from lowlat_nodes.inference.segments.graph import Graph, Value
from lowlat_nodes.inference.segments.plan import plan
from lowlat_nodes.inference.segments.segmented import OpenPart, SegmentedModel
from lowlat_nodes.inference.segments.trial import try_out
from lowlat_nodes.inference.turn import UNSHARED, Turn
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

_MOST_PARTS = 32

_RUNS = 7
_ROUNDS = 4
_EACH_NS = 20_000.0  # what a cut costs by itself: a call of ONNX Runtime
_BYTES_PER_NS = 4.0  # of what crosses: memory beyond the caches, written and read again
_CACHE = 1 << 21  # bytes: constants that fit in here are kept from one use to the next
_CACHE_BYTES_PER_NS = 20.0  # of constants that both sides read, each a copy of its own
_MOST_SHARED = 1 << 27  # bytes of them
_SHARE = 0.1  # of the wished time of a part, that a cut may cost


@dataclass(frozen=True)
class Cut:
    """A model in parts, and what became of it.

    Attributes:
        model: Ready to run; the graph in one piece where that is short enough.
        times_ns: Shortest time of each part: what it takes where nothing disturbs it.
        whole_ns: The same of the graph in one piece.
    """

    model: Model
    times_ns: tuple[float, ...]
    whole_ns: float

    def as_text(self) -> str:
        """Return it in one line."""
        parts, longest, whole = len(self.times_ns), max(self.times_ns) * 1e-6, self.whole_ns * 1e-6
        return (
            f"{self.model.path.name} runs in {parts} part{'s' if parts > 1 else ''}, the longest of "
            f"{longest:.2f} ms, {sum(self.times_ns) * 1e-6:.2f} ms in all; in one piece {whole:.2f} ms"
        )


def cut(
    path: Path,
    longest_ms: float,
    feed: Callable[[Model], Mapping[str, np.ndarray]],
    *,
    most: int = _MOST_PARTS,
    threads: int = 1,
    spinning: bool = False,
    image: ImageInput | None = None,
    turn: Turn = UNSHARED,
) -> Cut:
    """Cut a graph into parts that ONNX Runtime runs on the CPU.

    ONNX Runtime optimises the whole graph first, so that no cut goes through operators that it runs as one,
    and nothing about a part is optimised again: the results are those of the whole, bit by bit.

    Args:
        path: An .onnx file.
        longest_ms: What a part may take, at least 0.2; where operators take longer, or cuts would cost more
            than a tenth of this, parts do.
        feed: Makes inputs as they will often come.
        most: How many parts there may be.
        threads: Threads within an operator.
        spinning: Whether these spin.
        image: The image input, to fix open sizes by.
        turn: Whom to give way to between parts.

    Raises:
        ConfigurationError: If the file is none that runs here, or too large to be cut in memory.
        MissingExtra: If it has to be cut, and the package onnx is not installed.
    """
    whole = OnnxModel(path, threads=threads, spinning=spinning, image=image)
    given = feed(whole)
    whole_ns = _shortest_ns(whole, given)
    if whole_ns <= longest_ms * 1e6:
        return Cut(whole, (whole_ns,), whole_ns)
    said = Signature(whole.inputs, whole.outputs, whole.metadata)
    del whole  # and its constants
    onnx = _onnx()
    model = _optimised(onnx, path, image)
    graph = Graph(model)
    try:
        trial = try_out(model, graph.made(), given, threads=threads, spinning=spinning)
    except ValueError as error:  # protobuf ends at 2 GiB
        raise ConfigurationError(f"{path}: too large to be cut in memory: {error}") from error
    costs = _costs(onnx, graph, trial.values, longest_ms * 1e6)
    times = np.array(trial.times_ns)
    times *= whole_ns / max(times.sum(), 1.0)
    opened: dict[tuple[int, int], OpenPart] = {}

    def open_part(start: int, stop: int) -> OpenPart:
        if (start, stop) not in opened:
            part = graph.part(start, stop, trial.values)
            session = open_as_it_is(part.content, threads=threads, spinning=spinning)
            opened[start, stop] = OpenPart(part, session)
        return opened[start, stop]

    best: Cut | None = None
    for _ in range(_ROUNDS):
        places = [0, *plan(times.tolist(), costs, longest_ms * 1e6, most), graph.nodes]
        bounds = list(itertools.pairwise(places))
        segmented = SegmentedModel(path, said, [open_part(*each) for each in bounds], turn)
        measured = segmented.time(given, _RUNS)
        found = Cut(segmented, tuple(measured), whole_ns)
        if best is None or max(measured) < max(best.times_ns):
            best = found
        if max(measured) <= longest_ms * 1e6:
            break
        for (start, stop), measured_ns in zip(bounds, measured, strict=True):
            times[start:stop] *= measured_ns / max(times[start:stop].sum(), 1.0)
    assert best is not None
    return best


def _optimised(onnx: Any, path: Path, image: ImageInput | None) -> Any:
    """Return the graph (`onnx.ModelProto`) as ONNX Runtime runs it here, with operators fused."""
    with tempfile.TemporaryDirectory(prefix="lowlat_cut_") as folder:
        optimised = Path(folder) / "optimised.onnx"
        OnnxModel(path, image=image, optimised=optimised)
        return onnx.load(optimised)


def _costs(onnx: Any, graph: Graph, values: Mapping[str, Value], longest_ns: float) -> list[float]:
    """Return what a cut before each node costs; infinite where there must be none."""
    found = []
    for names, shared in zip(graph.crossing(), graph.shared(), strict=True):
        size = sum(values[name].size if _passes(onnx, values[name]) else math.inf for name in names)
        cost = _EACH_NS + size / _BYTES_PER_NS + min(shared, _CACHE) / _CACHE_BYTES_PER_NS
        if shared > _MOST_SHARED:
            cost = math.inf
        found.append(cost if cost <= _SHARE * longest_ns else math.inf)
    return found


def _passes(onnx: Any, value: Value) -> bool:
    """Return whether a value is a tensor that NumPy has memory for."""
    if not value.kind or value.kind == onnx.TensorProto.STRING:
        return False
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.kind)
    return type(np.zeros((), dtype).item()) in {bool, int, float}


def _shortest_ns(model: Model, feed: Mapping[str, np.ndarray]) -> float:
    outputs = list(model.outputs)
    model.run(feed, outputs)
    taken = []
    for _ in range(_RUNS):
        begin_ns = time.perf_counter_ns()
        model.run(feed, outputs)
        taken.append(time.perf_counter_ns() - begin_ns)
    return float(min(taken))


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "onnx") from error
    return onnx
