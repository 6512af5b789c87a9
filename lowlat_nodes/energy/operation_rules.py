# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How many multiply-accumulates, additions and multiplications each ONNX operation is.

Specification: "ONNX Operators", opset 24, and the contributed operators of ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lowlat_nodes.energy.onnx_graph import Node, Tensor


@dataclass(frozen=True)
class Work:
    """What an operation computes.

    Attributes:
        macs: Multiply-accumulates.
        adds: Additions, subtractions and comparisons.
        multiplies: Multiplications.
        others: Values of other functions: divisions, roots, exponentials and what is made of them.
    """

    macs: int = 0
    adds: int = 0
    multiplies: int = 0
    others: int = 0


Rule = Callable[[Node], Work]

PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""What runtimes compute in integers where all operands are quantised."""

VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Size", "Constant"}
"""What neither computes nor moves anything."""

MOVES = {
    "Cast", "CastLike", "Compress", "Concat", "ConstantOfShape", "DepthToSpace", "Expand", "EyeLike",
    "Gather", "GatherElements", "GatherND", "NonZero", "OneHot", "Pad", "Range", "ReverseSequence",
    "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Tile", "Transpose", "Trilu",
}  # fmt: skip
"""What moves values, and computes none but a few addresses."""


def _tensor(node: Node, place: int) -> Tensor | None:
    return node.inputs[place] if place < len(node.inputs) else None


def _input(node: Node, place: int) -> Tensor:
    found = _tensor(node, place)
    if found is None:
        raise ValueError(f"it needs an input {place}, and has none")
    return found


def _shape(node: Node, place: int) -> tuple[int, ...]:
    shape = _input(node, place).shape
    assert shape is not None, "nodes without shapes are not counted"
    return shape


def _output(node: Node) -> Tensor:
    return next(each for each in node.outputs if each is not None)


def _out(node: Node) -> int:
    return _output(node).size


def _each(adds: int = 0, multiplies: int = 0, others: int = 0) -> Rule:
    """Make the rule of what does so much for each value of its output."""

    def rule(node: Node) -> Work:
        size = _out(node)
        return Work(0, adds * size, multiplies * size, others * size)

    return rule


def _each_input(adds: int = 0, multiplies: int = 0, others: int = 0) -> Rule:
    """Make the rule of what does so much for each value of its first input."""

    def rule(node: Node) -> Work:
        size = _input(node, 0).size
        return Work(0, adds * size, multiplies * size, others * size)

    return rule


def _convolution(weights: int) -> Rule:
    """Make the rule of a convolution, by the place of its weights among the inputs.

    A bias is where the sums begin, and costs nothing.
    """

    def rule(node: Node) -> Work:
        # [out channels, in channels of a group, kernel...]: all but the first for each value that comes out.
        return Work(_out(node) * math.prod(_shape(node, weights)[1:]))

    return rule


def _transposed_convolution(node: Node) -> Work:
    # [in channels, out channels of a group, kernel...]: all but the first for each value that goes in.
    return Work(_input(node, 0).size * math.prod(_shape(node, 1)[1:]))


def _gemm(node: Node) -> Work:
    rows = _shape(node, 0)
    return Work(_out(node) * (rows[0] if node.attributes.get("transA", 0) else rows[1]))


def _product(node: Node) -> Work:
    return Work(_out(node) * _shape(node, 0)[-1])


def _einsum(node: Node) -> Work:
    terms = node.attributes["equation"].decode().replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for place, term in enumerate(terms):
        shape = _shape(node, place)
        letters = term.replace("...", "")
        ahead, _, behind = term.partition("...")
        if "..." in term:
            middle = shape[len(ahead) : len(shape) - len(behind)]
            sizes["..."] = max(sizes.get("...", 1), math.prod(middle))
            shape = (*shape[: len(ahead)], *shape[len(shape) - len(behind) :])
        for letter, size in zip(letters, shape, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), size)
    return Work(math.prod(sizes.values()) * max(1, len(terms) - 1))


def _attention(node: Node) -> Work:
    """`Attention` of opset 23: both products, and the softmax between them."""
    query, key, value = (_shape(node, place) for place in range(3))
    if len(query) == 4:
        batch, heads, steps, width = query
        value_width, seen = value[3], key[2]
    else:
        heads = int(node.attributes["q_num_heads"])
        batch, steps, width = query[0], query[1], query[2] // heads
        value_width, seen = value[2] // int(node.attributes["kv_num_heads"]), key[1]
    past = _tensor(node, 4)
    seen += past.shape[2] if past is not None and past.shape else 0
    scores = batch * heads * steps * seen
    return Work(scores * (width + value_width), 3 * scores, scores, 2 * scores)


def _recurrent(gates: int, products: int) -> Rule:
    """Make the rule of LSTM, GRU and RNN: each gate sees the input and the state before."""

    def rule(node: Node) -> Work:
        steps, batch, width = _shape(node, 0)
        if node.attributes.get("layout", 0):
            steps, batch = batch, steps
        directions, _, hidden = _shape(node, 2)
        units = steps * batch * directions * hidden
        return Work(units * gates * (width + hidden), units * gates, units * products, units * (gates + 1))

    return rule


def _pool(adds_only: bool) -> Rule:
    def rule(node: Node) -> Work:
        window = math.prod(node.attributes["kernel_shape"])
        return Work(0, _out(node) * (window - 1), 0 if adds_only else _out(node))

    return rule


def _sum(node: Node) -> Work:
    return Work(0, _out(node) * (len(node.inputs) - 1))


def _resize(node: Node) -> Work:
    mode = node.attributes.get("mode", b"nearest").decode()
    if mode == "nearest":
        return Work()
    before, after = _shape(node, 0), _output(node).shape
    assert after is not None, "nodes without shapes are not counted"
    axes = sum(one != other for one, other in zip(before, after, strict=True))
    points = (2 if mode == "linear" else 4) ** axes
    return Work(0, _out(node) * (points - 1), _out(node) * points)


_SUMS = {
    "Add", "Sub", "Max", "Min", "Relu", "Neg", "Abs", "Sign", "Where", "Not", "And", "Or", "Xor", "Equal",
    "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Floor", "Ceil", "Round", "IsNaN", "IsInf",
}  # fmt: skip
_FUNCTIONS = {
    "Div", "Mod", "Pow", "Sqrt", "Reciprocal", "Exp", "Log", "Sigmoid", "Tanh", "Erf", "Gelu", "Elu",
    "Selu", "Celu", "Mish", "Softplus", "Softsign", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh",
    "Cosh", "Asinh", "Acosh", "Atanh",
}  # fmt: skip

# What it costs to bring a value to mean 0 and variance 1, to scale and to shift it: two sums, the difference,
# its square, two scales and the shift. Roots are few, one for all values of an axis.
_NORMALISE = _each(adds=4, multiplies=3)
_RMS_NORMALISE = _each(adds=1, multiplies=3)

RULES: dict[str, Rule] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Einsum": _einsum,
    "Attention": _attention,
    "LSTM": _recurrent(4, 3),
    "GRU": _recurrent(3, 3),
    "RNN": _recurrent(1, 0),
    "Sum": _sum,
    "Mean": _sum,
    "Resize": _resize,
    "MaxPool": _pool(adds_only=True),
    "AveragePool": _pool(adds_only=False),
    "GlobalAveragePool": _each_input(adds=1),
    "GlobalMaxPool": _each_input(adds=1),
    "BatchNormalization": _each(adds=1, multiplies=1),
    "LayerNormalization": _NORMALISE,
    "GroupNormalization": _NORMALISE,
    "InstanceNormalization": _NORMALISE,
    "RMSNormalization": _RMS_NORMALISE,
    "Softmax": _each(adds=3, others=2),
    "LogSoftmax": _each(adds=4, others=1),
    "Mul": _each(multiplies=1),
    "PRelu": _each(adds=1, multiplies=1),
    "LeakyRelu": _each(adds=1, multiplies=1),
    "HardSigmoid": _each(adds=3, multiplies=1),
    "HardSwish": _each(adds=3, multiplies=2),
    "Swish": _each(multiplies=1, others=1),
    "CumSum": _each(adds=1),
    **dict.fromkeys(_SUMS, _each(adds=1)),
    "Clip": _each(adds=2),
    **dict.fromkeys(_FUNCTIONS, _each(others=1)),
    **dict.fromkeys(
        ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ArgMax", "ArgMin"], _each_input(adds=1)
    ),
    "ReduceProd": _each_input(multiplies=1),
    **dict.fromkeys(["ReduceL2", "ReduceSumSquare"], _each_input(adds=1, multiplies=1)),
    "ReduceL1": _each_input(adds=2),
}
"""Type of operation: how it is counted."""
