# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph with the shape and type of every value, for one set of input shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

_BITS = {"bool": 8, "bfloat16": 16, "float8": 8, "uint4": 4, "int4": 4, "string": 0}
# What always gives the same, once the shapes of the inputs are known.
_OF_SHAPES = {"Constant", "Shape", "Size"}
_RANDOM = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
}
_MAX_REASON = 200


@dataclass(frozen=True)
class Tensor:
    """A value of the graph.

    Attributes:
        name: Unique in the graph.
        shape: None where it could not be found out.
        number: Type of its numbers, as NumPy names it, or `bfloat16`; empty where it could not be found out.
        stored: The type in which it lies in memory; where QuantizeLinear or DequantizeLinear stand between it
            and memory, the quantised one.
        weight: Whether it is part of the model and no result of the input.
    """

    name: str
    shape: tuple[int, ...] | None
    number: str
    stored: str
    weight: bool

    @property
    def size(self) -> int:
        """How many numbers it has; 0 where the shape is not known."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes it has in memory."""
        return (self.size * _bits(self.stored) + 7) // 8


@dataclass(frozen=True)
class Node:
    """An operation of the graph.

    Attributes:
        name: As in the file, or made from its output.
        op: Type of operation; with its domain before it where that is not ONNX's own.
        inputs: None for one that is left out.
        outputs: None for one that nobody wants.
        attributes: As Python values; graphs are left out.
        folded: Whether it gives the same for every input of these shapes, so that a runtime computes it once.
    """

    name: str
    op: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    attributes: Mapping[str, Any]
    folded: bool


@dataclass(frozen=True)
class Graph:
    """A model.

    Attributes:
        inputs: What it takes.
        assumed: Dimensions that nobody gave, and were taken as 1: their names.
        nodes: In an order in which they can be computed.
        why: Why shapes are missing, where any are.
    """

    inputs: tuple[Tensor, ...]
    assumed: tuple[str, ...]
    nodes: tuple[Node, ...]
    why: str = ""


def read_graph(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    """Read a model and find out the shapes of its values.

    Where shape inference does not suffice, the model is run once with zeros.

    Args:
        path: An .onnx file.
        shapes: Shapes of inputs by name, for those with free dimensions. Dimensions of the same name are the
            same, others are taken as 1; names that the model has not are passed over.

    Raises:
        ConfigurationError: If this is no ONNX model, or does not fit the shapes.
        MissingExtra: If the package onnx is not installed.
    """
    try:
        import onnx
        import onnx.inliner
    except ImportError as error:
        raise MissingExtra("onnx", "onnx") from error
    try:
        model = onnx.load(path, load_external_data=False)
        model = onnx.inliner.inline_local_functions(model)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    except Exception as error:  # protobuf has errors of its own, which onnx does not name
        raise ConfigurationError(f"{path} is no ONNX model: {error}") from error
    if not model.graph.node:
        raise ConfigurationError(f"{path} is no ONNX model: it has no operation")
    assumed = _bind(model, shapes, path)
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # the C++ part of onnx has errors of its own
        raise ConfigurationError(f"{path} does not fit its inputs' shapes: {error}") from error
    try:
        return _Reader(onnx, model).graph(assumed)
    except (LookupError, ValueError) as error:  # a type that does not exist, a node without what it needs
        raise ConfigurationError(f"{path} is no ONNX model: {error}") from error


def _bind(model: Any, shapes: Mapping[str, tuple[int, ...]], path: Path) -> tuple[str, ...]:
    """Give every dimension of the inputs a number; return the names of those that nobody gave."""
    weights = {each.name for each in model.graph.initializer}
    inputs = {each.name: each for each in model.graph.input if each.name not in weights}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            continue
        dims = inputs[name].type.tensor_type.shape.dim
        fixed = [each.dim_value if each.HasField("dim_value") else 0 for each in dims]
        fits = len(shape) == len(fixed) and all(
            known in (0, given) for known, given in zip(fixed, shape, strict=True)
        )
        if not fits:
            wanted = [known or each.dim_param or "?" for known, each in zip(fixed, dims, strict=True)]
            raise ConfigurationError(f"{path}: expected {name} of shape {wanted}, got {list(shape)}")
        for dim, given in zip(dims, shape, strict=True):
            if dim.dim_param and sizes.setdefault(dim.dim_param, given) != given:
                raise ConfigurationError(
                    f"{path}: {dim.dim_param!r} is {sizes[dim.dim_param]} in one input and {given} in {name}"
                )
            dim.dim_value = given
    assumed = []
    for name, each in inputs.items():
        for place, dim in enumerate(each.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") or dim.dim_value <= 0:
                label = dim.dim_param or f"{name}[{place}]"
                if label not in sizes:
                    assumed.append(label)
                dim.dim_value = sizes.setdefault(label, 1)
    return tuple(assumed)


class _Reader:
    """Puts the parts of a model together."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx, self._model = onnx, model
        graph = model.graph
        self._weights = {each.name: each for each in graph.initializer}
        self._infos = {each.name: each for each in (*graph.value_info, *graph.output, *graph.input)}
        self._fixed = set(self._weights)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._numbers: dict[str, str] = {}
        self._stored: dict[str, str] = {}
        self._why = ""

    def graph(self, assumed: tuple[str, ...]) -> Graph:
        nodes = list(self._model.graph.node)
        folded = [self._is_fixed(node) for node in nodes]
        self._measure(nodes)
        for node in nodes:
            if node.op_type == "DequantizeLinear":
                self._stored[node.output[0]] = self._number(node.input[0])
        readers: dict[str, list[Any]] = {}
        for node in nodes:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        for name, by in readers.items():
            if name not in self._stored and all(node.op_type == "QuantizeLinear" for node in by):
                self._stored[name] = self._number(by[0].output[0])
        inputs = [each.name for each in self._model.graph.input if each.name not in self._weights]
        return Graph(
            tuple(self._tensor(name) for name in inputs),
            assumed,
            tuple(self._node(node, fixed) for node, fixed in zip(nodes, folded, strict=True)),
            self._why,
        )

    def _is_fixed(self, node: Any) -> bool:
        """Whether a node gives the same for every input; its outputs are weights to those that follow."""
        fixed = node.op_type in _OF_SHAPES or (
            node.op_type not in _RANDOM
            and all(name in self._fixed for name in node.input if name)
            # What is inside an If, Loop or Scan may see values of the outside without naming them as inputs.
            and not any(self._has_graphs(each) for each in node.attribute)
        )
        if fixed:
            self._fixed.update(node.output)
        return fixed

    def _has_graphs(self, attribute: Any) -> bool:
        kinds = self._onnx.AttributeProto
        return attribute.type in (kinds.GRAPH, kinds.GRAPHS)

    def _measure(self, nodes: Iterable[Any]) -> None:
        """Find out the shapes, by a run where inference left some open."""
        for name, weight in self._weights.items():
            self._shapes[name] = tuple(weight.dims)
        for name, info in self._infos.items():
            kind = info.type.tensor_type
            if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
                self._shapes[name] = tuple(dim.dim_value for dim in kind.shape.dim)
        outputs = [name for node in nodes for name in node.output if name]
        open_ones = [name for name in outputs if name not in self._shapes]
        if open_ones:
            try:
                results = _run(self._onnx, self._model, open_ones)
            except Exception as error:  # ONNX Runtime has errors of its own
                reason = " ".join(str(error).split())[:_MAX_REASON]
                self._why = f"inference leaves its shapes open, and a run with zeros fails: {reason}"
                return
            self._shapes |= {name: result.shape for name, result in results.items()}
            self._numbers |= {name: result.dtype.name for name, result in results.items()}

    def _number(self, name: str) -> str:
        weight, info = self._weights.get(name), self._infos.get(name)
        kind = weight.data_type if weight is not None else info.type.tensor_type.elem_type if info else 0
        if not kind:
            return self._numbers.get(name, "")
        word = str(self._onnx.TensorProto.DataType.Name(kind)).lower()
        return {"float": "float32", "double": "float64"}.get(word, word)

    def _tensor(self, name: str) -> Tensor:
        number = self._number(name)
        stored = self._stored.get(name, number)
        return Tensor(name, self._shapes.get(name), number, stored, name in self._fixed)

    def _node(self, node: Any, folded: bool) -> Node:
        helper = self._onnx.helper
        attributes = {
            each.name: helper.get_attribute_value(each)
            for each in node.attribute
            if not self._has_graphs(each)
        }
        own = node.domain in ("", "ai.onnx")
        return Node(
            node.name or f"{node.op_type} of {node.output[0]}",
            node.op_type if own else f"{node.domain}.{node.op_type}",
            tuple(self._tensor(name) if name else None for name in node.input),
            tuple(self._tensor(name) if name else None for name in node.output),
            attributes,
            folded,
        )


def _run(onnx: Any, model: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return values as they come out for inputs of zeros."""
    import onnxruntime

    probe = type(model)()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {each.name: np.zeros(each.shape, _numpy_type(each.type)) for each in session.get_inputs()}
    results = zip(names, session.run(list(names), feed), strict=True)
    return {name: result for name, result in results if isinstance(result, np.ndarray)}


def _numpy_type(kind: str) -> Any:
    word = kind.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(word, word))


def _bits(number: str) -> int:
    known = next((bits for prefix, bits in _BITS.items() if number.startswith(prefix)), None)
    if known is not None:
        return known
    return 8 * np.dtype(number).itemsize if number else 0
