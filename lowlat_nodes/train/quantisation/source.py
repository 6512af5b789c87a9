# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The floating-point model that is to be quantised."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from lowlat_nodes.stream.errors import ConfigurationError

MAX_BYTES: Final = 1 << 30
_OPSET: Final = 13
_INTEGER: Final = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "ConvInteger",
        "QLinearMatMul",
    }
)


@dataclass(frozen=True, eq=False)
class Source:
    """A model, ready to be quantised.

    Attributes:
        path: The file.
        sha256: Of the file.
        model: Its graph, with batch normalisation folded into convolutions, constants folded, shapes known as
            far as they can be, and a name for every node. To be copied, not changed.
    """

    path: Path
    sha256: str
    model: onnx.ModelProto


def read_source(path: Path) -> Source:
    """Read a floating-point ONNX model.

    Raises:
        ConfigurationError: If it is missing, too large, no ONNX graph, of too old operators, quantised
            already, or of another precision than float32.
    """
    if not path.is_file():
        raise ConfigurationError(f"expected an ONNX file, found nothing at {path}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")
    try:
        original = onnx.load(path)
        onnx.checker.check_model(original)
    except Exception as error:  # protobuf has errors of its own, which onnx does not name
        raise ConfigurationError(f"{path} is no ONNX graph: {error}") from error
    if found := sorted({node.op_type for node in original.graph.node} & _INTEGER):
        raise ConfigurationError(
            f"{path} is quantised already (it has {', '.join(found)}); expected the floating-point model"
        )
    opset = max((item.version for item in original.opset_import if item.domain in {"", "ai.onnx"}), default=0)
    if opset < _OPSET:
        raise ConfigurationError(
            f"{path}: expected operators of opset {_OPSET} or later, which know a scale per channel, got "
            f"{opset}; export the model anew"
        )
    weights = {item.name: item for item in original.graph.initializer}
    half = [
        node.name
        for node in original.graph.node
        if node.op_type == "Conv"
        and node.input[1] in weights
        and weights[node.input[1]].data_type != onnx.TensorProto.FLOAT
    ]
    if half:
        raise ConfigurationError(
            f"{path}: expected weights in float32, {half[0]!r} has others; export the model without half"
        )
    return Source(path, hashlib.sha256(path.read_bytes()).hexdigest(), _prepared(path))


def _prepared(path: Path) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder, _quiet():
        out = Path(folder) / "prepared.onnx"
        try:
            # Symbolic shapes are for transformers, and need a further package.
            quant_pre_process(str(path), str(out), skip_symbolic_shape=True)
        except Exception as error:  # ONNX Runtime raises types of its own for every kind of bad file
            raise ConfigurationError(f"{path} is not a model that ONNX Runtime can load: {error}") from error
        model = onnx.load(out)
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}#{number}"
        taken.add(node.name)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep a library from giving advice, on the root logger, on how to call it."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
