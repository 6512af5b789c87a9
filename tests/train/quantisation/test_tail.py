# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What stays in floating point, on graphs of several shapes."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from lowlat_nodes.train.quantisation.tail import float_tail  # noqa: E402


def _graph(nodes: str, *outputs: str) -> onnx.GraphProto:
    """Return a graph of lines such as `name: Operator a b -> c`."""
    made = []
    for line in nodes.strip().splitlines():
        name, _, rest = line.strip().partition(": ")
        operator, *inputs = rest.partition(" -> ")[0].split()
        made.append(helper.make_node(operator, inputs, rest.partition(" -> ")[2].split(), name))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", *outputs)]
    return helper.make_graph(made, "net", infos[:1], infos[1:])


def test_the_last_convolution_and_what_follows_stay() -> None:
    graph = _graph(
        """
        stem: Conv image w1 -> a
        act: Sigmoid a -> b
        last: Conv b w2 -> c
        score: Sigmoid c -> output
        """,
        "output",
    )
    assert float_tail(graph) == {"last", "score"}


def test_every_branch_has_a_last_convolution() -> None:
    graph = _graph(
        """
        body: Conv image w -> a
        box1: Conv a w1 -> b1
        box2: Conv b1 w2 -> b2
        class1: Conv a w3 -> c1
        class2: Conv c1 w4 -> c2
        probability: Sigmoid c2 -> p
        rows: Concat b2 p -> output
        """,
        "output",
    )
    assert float_tail(graph) == {"box2", "class2", "probability", "rows"}


def test_a_convolution_over_a_distribution_is_none_of_the_last() -> None:
    graph = _graph(
        """
        body: Conv image w -> a
        box: Conv a w1 -> b
        bins: Reshape b shape -> b1
        soft: Softmax b1 -> b2
        turned: Transpose b2 -> b3
        mean: Conv b3 arange -> b4
        boxes: Mul b4 stride -> output
        """,
        "output",
    )
    assert float_tail(graph) == {"box", "bins", "soft", "turned", "mean", "boxes"}


def test_a_convolution_after_attention_ends_the_tail() -> None:
    graph = _graph(
        """
        qkv: Conv image w -> a
        weights: Softmax a -> b
        seen: MatMul b a -> c
        merge: Conv c w1 -> d
        last: Conv d w2 -> output
        """,
        "output",
    )
    assert float_tail(graph) == {"last"}


def test_several_outputs_have_several_tails() -> None:
    graph = _graph(
        """
        body: Conv image w -> a
        first: Conv a w1 -> labels
        second: Conv a w2 -> b
        boxes: Mul b size -> boxes_output
        """,
        "labels",
        "boxes_output",
    )
    assert float_tail(graph) == {"first", "second", "boxes"}


def test_a_decoder_without_convolutions_stays_whole() -> None:
    graph = _graph(
        """
        body: Conv image w -> a
        project: Conv a w1 -> b
        tokens: Reshape b shape -> c
        linear: MatMul c w2 -> d
        best: TopK d k -> scores index
        gathered: Gather d index -> output
        """,
        "output",
    )
    assert float_tail(graph) == {"project", "tokens", "linear", "best", "gathered"}
