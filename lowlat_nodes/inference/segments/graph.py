# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph as a row of nodes that can be cut between any two of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.stream.errors import ConfigurationError

_LEAST_IR = 4  # before it, each initialiser had to be an input too


@dataclass(frozen=True)
class Value:
    """What is known of a value that nodes pass on.

    Attributes:
        kind: The element type, a number of `TensorProto.DataType`; 0 for what is no tensor.
        shape: Sizes; None or a name where the graph leaves one open.
        size: Bytes that it took with the inputs that were tried.
    """

    kind: int
    shape: tuple[int | str | None, ...]
    size: int


@dataclass(frozen=True)
class Part:
    """Nodes that run without interruption, as a graph of their own.

    Attributes:
        start: Index of the first node.
        stop: Index after the last one.
        content: The graph, serialised.
        inputs: What it takes, of the inputs of the whole graph and of earlier parts.
        outputs: What it gives, to later parts or as outputs of the whole graph.
    """

    start: int
    stop: int
    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Graph:
    """The nodes of a graph in the order in which they run, and what they read and make.

    Args:
        model: An ONNX model (`onnx.ModelProto`) whose nodes are sorted, as ONNX wants them.

    Attributes:
        nodes: How many there are.
        inputs: Names of what the caller feeds.
        outputs: Names of what the graph gives.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        graph = model.graph
        self.nodes = len(graph.node)
        self._constants = {item.name: item for item in graph.initializer}
        self._sparse = {item.values.name: item for item in graph.sparse_initializer}
        fixed = self._constants.keys() | self._sparse.keys()
        self._inputs = {item.name: item for item in graph.input if item.name not in fixed}
        self.inputs = tuple(self._inputs)
        self._outputs = {item.name: item for item in graph.output}
        self.outputs = tuple(self._outputs)
        self._reads = [tuple(dict.fromkeys(_read(node))) for node in graph.node]
        self._makes = [tuple(name for name in node.output if name) for node in graph.node]
        self._maker = {name: index for index, names in enumerate(self._makes) for name in names}
        self._last = {name: index for index, names in enumerate(self._reads) for name in names}
        self._last |= dict.fromkeys(self.outputs, self.nodes)

    def made(self) -> tuple[str, ...]:
        """Return the names of all values that nodes make."""
        return tuple(self._maker)

    def crossing(self) -> list[tuple[str, ...]]:
        """Return, for each place before a node, the values that are made before it and read from it on.

        Outputs of the graph that are ready by then go to the caller and cross nothing, unless a later node
        reads them too.
        """
        live: dict[str, int] = {}
        found = []
        readers = {name: index for index, names in enumerate(self._reads) for name in names}
        for index, names in enumerate(self._makes):
            found.append(tuple(name for name, last in live.items() if last >= index))
            live = {name: last for name, last in live.items() if last > index}
            live |= {name: readers[name] for name in names if name in readers}
        return found

    def shared(self) -> list[int]:
        """Return, for each place before a node, the bytes of constants that are read on both sides of it.

        Each part has its own copy of what it reads: of a network whose steps are written out, one per part.
        """
        first = {name: index for index, names in reversed(list(enumerate(self._reads))) for name in names}
        changes = [0] * (self.nodes + 1)
        for name, item in (*self._constants.items(), *self._sparse.items()):
            if name in first:
                size = item.ByteSize()
                changes[first[name] + 1] += size
                changes[min(self._last[name], self.nodes - 1) + 1] -= size
        return list(itertools.accumulate(changes[: self.nodes]))

    def part(self, start: int, stop: int, values: Mapping[str, Value]) -> Part:
        """Return the nodes from one place to another as a graph.

        Constants come along with whoever reads them; metadata, operator sets and functions stay.

        Args:
            start: Index of the first node.
            stop: Index after the last one.
            values: By name, what crosses the places.

        Raises:
            ConfigurationError: If it is too large to be serialised in memory.
        """
        import onnx

        nodes = self._model.graph.node[start:stop]
        read = dict.fromkeys(name for names in self._reads[start:stop] for name in names)
        outputs = [
            name for names in self._makes[start:stop] for name in names if self._last.get(name, -1) >= stop
        ]
        if stop == self.nodes:  # an output may be a constant, or an input as it came
            passed = [name for name in self.outputs if name not in self._maker]
            read |= dict.fromkeys(passed)
            outputs += passed
        inputs = [
            name
            for name in read
            if name in self._inputs or (name in self._maker and self._maker[name] < start)
        ]
        made = _shell(onnx, self._model)
        graph = made.graph
        graph.node.extend(nodes)
        graph.initializer.extend(self._constants[name] for name in read if name in self._constants)
        graph.sparse_initializer.extend(self._sparse[name] for name in read if name in self._sparse)
        known = {**self._outputs, **self._inputs}
        for field, names in ((graph.input, inputs), (graph.output, outputs)):
            field.extend(known[name] if name in known else _info(onnx, name, values[name]) for name in names)
        try:
            content = made.SerializeToString()
        except Exception as error:  # protobuf ends at 2 GiB, with errors of its own
            raise ConfigurationError(
                f"a part of {len(nodes)} nodes is too large to be cut out: {error}"
            ) from error
        return Part(start, stop, content, tuple(inputs), tuple(outputs))


def _shell(onnx: Any, model: Any) -> Any:
    """Return a model without nodes, constants, inputs and outputs, and all that it says besides."""
    shell = onnx.ModelProto(
        ir_version=max(model.ir_version, _LEAST_IR),
        opset_import=model.opset_import,
        metadata_props=model.metadata_props,
        functions=model.functions,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        domain=model.domain,
        model_version=model.model_version,
    )
    shell.graph.name = model.graph.name
    return shell


def _info(onnx: Any, name: str, value: Value) -> Any:
    return onnx.helper.make_tensor_value_info(name, value.kind, list(value.shape))


def _read(node: Any) -> Iterator[str]:
    """Yield what a node reads; an If, Loop or Scan also sees values of the outside by name."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _outer(graph)


def _outer(graph: Any) -> Iterator[str]:
    """Yield what a subgraph reads and does not make itself."""
    own = {item.name for item in graph.input} | {item.name for item in graph.initializer}
    own |= {item.values.name for item in graph.sparse_initializer}
    for node in graph.node:
        yield from (name for name in _read(node) if name not in own)
        own.update(node.output)
    yield from (item.name for item in graph.output if item.name not in own)
