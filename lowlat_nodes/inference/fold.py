# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The step from pixels to the values that a network takes, put in front of an ONNX graph.

A graphics card is then sent a quarter of the bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

_FLOATS = ("FLOAT", "FLOAT16", "DOUBLE")


def fold(path: Path, image: ImageInput) -> tuple[bytes, str]:
    """Return a graph that takes uint8 [1, height, width, 3], and the name of that input.

    Args:
        path: An .onnx file whose image input takes floating-point values.
        image: The image input.

    Raises:
        ConfigurationError: If the file is no ONNX graph, or its image input is missing or takes no
            floating-point values.
        MissingExtra: If the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "onnx") from error
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf has errors of its own, which onnx does not name
        raise ConfigurationError(f"{path} is no ONNX graph: {error}") from error
    graph = model.graph
    weights = {item.name for item in graph.initializer}
    found = [item for item in graph.input if item.name == image.name and item.name not in weights]
    if not found:
        names = [item.name for item in graph.input if item.name not in weights]
        raise ConfigurationError(f"{path}: expected an input {image.name!r}, found {', '.join(names)}")
    kind = onnx.TensorProto.DataType.Name(found[0].type.tensor_type.elem_type)
    if kind not in _FLOATS:
        raise ConfigurationError(
            f"{path}: expected {image.name!r} to take one of {', '.join(_FLOATS)} to fold pixels into, "
            f"it takes {kind}"
        )
    pixels = f"{image.name}/pixels"
    nodes, constants = _steps(onnx, image, pixels, onnx.TensorProto.DataType.Value(kind))
    index = list(graph.input).index(found[0])
    graph.input[index].CopyFrom(
        onnx.helper.make_tensor_value_info(pixels, onnx.TensorProto.UINT8, list(image.folded_shape))
    )
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.extend(constants)
    try:
        return model.SerializeToString(), pixels
    except ValueError as error:  # protobuf ends at 2 GiB
        raise ConfigurationError(f"{path}: too large to be changed in memory: {error}") from error


def _steps(onnx: Any, image: ImageInput, pixels: str, kind: int) -> tuple[list[Any], list[Any]]:
    """Return the nodes that make the values, and their constants."""
    make, floats = onnx.helper.make_node, onnx.TensorProto.FLOAT
    chain: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Cast", [], {"to": floats}),  # first: TensorRT takes uint8 nowhere else
        ("Transpose", [], {"perm": [0, 3, 1, 2]}),
    ]
    constants = []
    if any(image.mean):
        constants.append(_constant(onnx, f"{pixels}/mean", image.mean))
        chain.append(("Sub", [constants[-1].name], {}))
    constants.append(_constant(onnx, f"{pixels}/scale", tuple(1.0 / std for std in image.std)))
    chain.append(("Mul", [constants[-1].name], {}))
    if kind != floats:
        chain.append(("Cast", [], {"to": kind}))
    nodes = []
    before = pixels
    for number, (operator, further, attributes) in enumerate(chain, 1):
        after = image.name if number == len(chain) else f"{pixels}/{number}"
        nodes.append(make(operator, [before, *further], [after], name=f"{pixels}/step{number}", **attributes))
        before = after
    return nodes, constants


def _constant(onnx: Any, name: str, values: tuple[float, ...]) -> Any:
    return onnx.numpy_helper.from_array(np.array(values, np.float32).reshape(1, 3, 1, 1), name)
