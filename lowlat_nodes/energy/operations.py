# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what an ONNX model computes and moves, and the energy that published tables give for them.

This is the method of papers on models for small devices: operations times the energy of one. It is a model
of arithmetic and of data movement, and no meter confirms it: it leaves out whatever else a processor does,
which on a CPU or a GPU is most of the energy (fetching and decoding instructions, caches that miss, leakage,
clocks, the rest of the board). It compares models with each other, and with figures made in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lowlat_nodes.energy.onnx_graph import Node, Tensor, read_graph
from lowlat_nodes.energy.operation_costs import OperationCosts
from lowlat_nodes.energy.operation_rules import MOVES, PRODUCTS, RULES, VIEWS, Work
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind

# Quantising, and back: part of the operation beside it in every runtime that has integer arithmetic.
_FUSED = {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class Layer:
    """One operation of a model.

    Attributes:
        name: Of the node.
        op: Type of operation.
        number: Type of the numbers that it computes with; `int8` where weights and data are quantised.
        work: What it computes.
        weight_bytes: Weights that it reads.
        activation_bytes: Other values that it reads and writes.
        first: Whether no other layer with MACs comes between it and the inputs.
    """

    name: str
    op: str
    number: str
    work: Work
    weight_bytes: int
    activation_bytes: int
    first: bool


@dataclass(frozen=True)
class Count:
    """What one inference computes and moves.

    Attributes:
        inputs: Shape of each input.
        assumed: Dimensions that nobody gave, and were taken as 1.
        layers: What was counted.
        uncounted: Type of operation: how many of them are in no figure here, and why.
    """

    inputs: Mapping[str, tuple[int, ...]]
    assumed: tuple[str, ...]
    layers: tuple[Layer, ...]
    uncounted: Mapping[str, tuple[int, str]]

    def total(self, what: str) -> dict[str, int]:
        """Return the sum of a field of `Work` by type of number, such as `macs`; without those of none."""
        sums: Counter[str] = Counter()
        for layer in self.layers:
            sums[layer.number] += getattr(layer.work, what)
        return {number: count for number, count in sorted(sums.items()) if count}

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all types of number."""
        return sum(layer.work.macs for layer in self.layers)

    @property
    def first_macs(self) -> int:
        """Those of them that are in first layers."""
        return sum(layer.work.macs for layer in self.layers if layer.first)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights, each read once."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Bytes of other values, each written once and read by each layer that takes it."""
        return sum(layer.activation_bytes for layer in self.layers)


@dataclass(frozen=True)
class Estimate:
    """Energy of one inference by a table of costs; `Kind.MODELLED`, always.

    Attributes:
        table: Name of the table.
        arithmetic_j: Of what is counted and has a cost in the table.
        sram_j: Of moving every byte once, if all of it stays on the chip; None where the table has no cost.
        dram_j: The same, if all of it goes through memory off the chip.
        unpriced: Operations without a cost in the table: how many.
    """

    table: str
    arithmetic_j: float
    sram_j: float | None
    dram_j: float | None
    unpriced: Mapping[str, int]
    kind: Kind = field(default=Kind.MODELLED, init=False)


@dataclass(frozen=True)
class Spiking:
    """A spiking network of the same layers beside the network itself: arithmetic only, as in papers.

    First layers see real numbers and multiply; all others add up the weights of those inputs that spiked, in
    each time step: the convention of "Spikformer" (arXiv 2209.15425) and many since.

    Attributes:
        rate: Spikes of a neuron in a time step.
        steps: Time steps of an inference.
        macs: Of the first layers.
        accumulates: Of the others.
        joules: Energy of both.
        dense_macs, dense_joules: The same for the network without spikes.
    """

    rate: float
    steps: int
    macs: int
    accumulates: int
    joules: float
    dense_macs: int
    dense_joules: float
    kind: Kind = field(default=Kind.MODELLED, init=False)


def count(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Count:
    """Count one inference of an ONNX model.

    Args:
        path: An .onnx file.
        shapes: Shapes of inputs by name; a dimension that is free and not given is taken as 1. Names that the
            model has not are passed over, so that one set serves several models.

    Raises:
        ConfigurationError: If this is no ONNX model, or does not fit the shapes.
        MissingExtra: If the package onnx is not installed.
    """
    graph = read_graph(path, shapes or {})
    layers: list[Layer] = []
    left: dict[str, tuple[int, str]] = {}
    late: set[str] = set()
    seen: set[str] = set()
    for node in graph.nodes:
        if node.folded:
            continue
        multiplies = any(each and each.name in late for each in node.inputs)
        why = _why_not(node, graph.why)
        if why:
            left[node.op] = (left.get(node.op, (0, ""))[0] + 1, why)
        else:
            try:
                layers.append(_layer(node, late, seen))
            except (LookupError, ValueError) as error:
                raise ConfigurationError(f"{path}: {node.name} is no {node.op}: {error}") from error
            multiplies = multiplies or layers[-1].work.macs > 0
        if multiplies:
            late.update(each.name for each in node.outputs if each)
    inputs = {each.name: each.shape or () for each in graph.inputs}
    return Count(inputs, graph.assumed, tuple(layers), left)


def estimate(counted: Count, costs: OperationCosts) -> Estimate:
    """Return the energy of an inference by a table of costs."""
    picojoules = 0.0
    unpriced: Counter[str] = Counter()
    for what, cost in (("macs", costs.mac_pj), ("adds", costs.add_pj), ("multiplies", costs.multiply_pj)):
        for number, times in counted.total(what).items():
            if number in cost:
                picojoules += times * cost[number]
            else:
                unpriced[f"{what} of {number}"] += times
    for number, times in counted.total("others").items():
        unpriced[f"other functions of {number}"] += times
    moved = counted.weight_bytes + counted.activation_bytes
    return Estimate(
        costs.name,
        picojoules * 1e-12,
        None if costs.sram_pj is None else moved * costs.sram_pj * 1e-12,
        None if costs.dram_pj is None else moved * costs.dram_pj * 1e-12,
        dict(unpriced),
    )


def spiking(counted: Count, costs: OperationCosts, rate: float, steps: int) -> Spiking:
    """Return what the papers on spiking networks would say of one with these layers, in float32.

    Args:
        counted: The network, as it is without spikes.
        costs: With costs of float32; at 45 nm, 4.6 pJ for a MAC and 0.9 pJ for an accumulate.
        rate: Spikes of a neuron in a time step, from 0 to 1.
        steps: Time steps of an inference.

    Raises:
        ConfigurationError: If rate or steps are out of range.
    """
    if not 0.0 <= rate <= 1.0 or steps < 1:
        raise ConfigurationError(
            f"expected a spike rate from 0 to 1 and at least one time step, got {rate:g} and {steps}"
        )
    mac_j, add_j = costs.mac_pj["float32"] * 1e-12, costs.add_pj["float32"] * 1e-12
    macs = counted.first_macs
    accumulates = round((counted.macs - macs) * rate * steps)
    return Spiking(
        rate, steps, macs, accumulates, macs * mac_j + accumulates * add_j, counted.macs, counted.macs * mac_j
    )


def _why_not(node: Node, why: str) -> str:
    """Return why a node cannot be counted; empty where it can."""
    if node.op not in RULES and node.op not in MOVES | VIEWS | _FUSED:
        return "there is no rule for it here; what it computes may depend on its data"
    values = [each for each in (*node.inputs, *node.outputs) if each is not None]
    if any(each.shape is None for each in values):
        return why or "its shapes are not known"
    return ""


def _layer(node: Node, late: set[str], seen: set[str]) -> Layer:
    """Count one node.

    Args:
        node: With known shapes.
        late: Values that a layer with MACs had a part in.
        seen: Weights that were read before.
    """
    inputs = [each for each in node.inputs if each is not None]
    outputs = [each for each in node.outputs if each is not None]
    work = RULES[node.op](node) if node.op in RULES else Work()
    if node.op in VIEWS | _FUSED:
        return Layer(node.name, node.op, _number(node), work, 0, 0, first=False)
    weights = [each for each in inputs if each.weight and each.name not in seen]
    seen.update(each.name for each in weights)
    written = sum(each.bytes for each in outputs)
    if node.op in {"Gather", "GatherElements", "GatherND"} and inputs[0].weight:
        weight_bytes = written  # of a table of embeddings, what is looked up
    else:
        weight_bytes = sum(each.bytes for each in weights)
    read = sum(each.bytes for each in inputs if not each.weight)
    first = bool(work.macs) and not any(each.name in late for each in inputs)
    return Layer(node.name, node.op, _number(node), work, weight_bytes, read + written, first)


def _number(node: Node) -> str:
    """Return the type of number that a node computes with."""
    operands = [each for each in node.inputs[:2] if each is not None]
    if node.op in {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}:
        return "int8"
    if node.op in PRODUCTS and operands and all(_is_byte(each) for each in operands):
        return "int8"
    values = [*operands, *(each for each in node.outputs if each is not None)]
    return next((each.number for each in values if each.number != "bool"), "bool")


def _is_byte(tensor: Tensor) -> bool:
    return tensor.stored in {"int8", "uint8"}
