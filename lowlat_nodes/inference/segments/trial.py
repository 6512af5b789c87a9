# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of a graph take and make: found out by running it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.onnx import open_as_it_is
from lowlat_nodes.inference.segments.graph import Value

_RUNS = 5
_SUFFIX = "_kernel_time"  # of the events of ONNX Runtime's profile that are about one node's work
_TENSOR = "tensor("


@dataclass(frozen=True)
class Trial:
    """What came out of a few runs.

    Attributes:
        times_ns: Median time of each node; what profiling itself takes is in there too.
        values: What nodes pass on, by name.
    """

    times_ns: tuple[float, ...]
    values: Mapping[str, Value]


def try_out(
    model: Any,
    names: Sequence[str],
    feed: Mapping[str, np.ndarray],
    *,
    threads: int,
    spinning: bool,
) -> Trial:
    """Run an optimised graph a few times with a clock at each node.

    Args:
        model: The graph (`onnx.ModelProto`); its nodes get numbers for names.
        names: Values to look at: all that nodes make.
        feed: Inputs as they will often come.
        threads: Threads within an operator.
        spinning: Whether these spin.
    """
    import onnxruntime

    wanted = [item.name for item in model.graph.output]
    watched = type(model)()
    watched.CopyFrom(model)
    for index, node in enumerate(watched.graph.node):
        node.name = str(index)
    for name in names:
        if name not in wanted:
            watched.graph.output.add().name = name
    with tempfile.TemporaryDirectory(prefix="lowlat_trial_") as folder:
        session = open_as_it_is(
            watched.SerializeToString(), threads=threads, spinning=spinning, profile=Path(folder) / "nodes"
        )
        given = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in feed.items()}
        declared = session.get_outputs()
        made = session.run_with_ort_values([item.name for item in declared], given, None)
        values = {item.name: _value(item, value) for item, value in zip(declared, made, strict=True)}
        for _ in range(_RUNS):
            session.run_with_ort_values(wanted, given, None)
        profile = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: list[list[int]] = [[] for _ in watched.graph.node]
    for event in profile:
        name = event.get("name", "").removesuffix(_SUFFIX)
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX) and name.isdecimal():
            times[int(name)].append(event["dur"] * 1000)
    return Trial(tuple(float(np.median(each)) if each else 0.0 for each in times), values)


def _value(declared: Any, value: Any) -> Value:
    if not declared.type.startswith(_TENSOR) or not value.has_value():
        return Value(0, (), 0)
    kind = value.element_type()
    return Value(kind, tuple(declared.shape), value.tensor_size_in_bytes())
