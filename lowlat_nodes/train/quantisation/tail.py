# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a detector stays in floating point: its tail, found by walking back from the outputs.

Behind the last convolutions boxes of hundreds of px and scores below 1 share tensors. One scale for both
leaves nothing of the scores: they round to zero.
"""

from __future__ import annotations

import onnx

_SHAPING = frozenset(
    {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Split"}
)


def float_tail(graph: onnx.GraphProto) -> frozenset[str]:
    """Return the names of the nodes between the last convolutions, these included, and the outputs.

    A convolution that takes the mean of a distribution, as a head with distribution focal loss does (arXiv
    2006.04388), is none of the last: the walk goes on behind it.

    Args:
        graph: Every node has a name.
    """
    makers = {output: node for node in graph.node for output in node.output}
    tail: set[str] = set()
    open_ends = [output.name for output in graph.output]
    while open_ends:
        node = makers.get(open_ends.pop())
        if node is None or node.name in tail:
            continue
        tail.add(node.name)
        if node.op_type != "Conv" or _follows_softmax(node, makers):
            open_ends += node.input
    return frozenset(tail)


def _follows_softmax(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> bool:
    before = makers.get(node.input[0])
    while before is not None and before.op_type in _SHAPING:
        before = makers.get(before.input[0])
    return before is not None and before.op_type == "Softmax"
