# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Static quantisation by ONNX Runtime's tools: ranges once, then files with any choice of layers.

Weights are symmetric int8 with a scale per output channel, activations uint8 or int8 with one scale per
tensor, both written as QuantizeLinear and DequantizeLinear around the operators (QDQ).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    create_calibrator,
)

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.quantisation.silu import separate_silu
from lowlat_nodes.train.quantisation.tail import float_tail

Feed = Mapping[str, np.ndarray]

METHODS: Final = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
}


@dataclass(frozen=True)
class Scheme:
    """What a runtime runs fast.

    Attributes:
        operators: The operators that are quantised.
        symmetric: Activations as int8 around zero, or as uint8 from zero on where none is negative; else as
            uint8 with a zero point.
        outputs: Whether the outputs of convolutions are quantised too, in front of what follows them.
        silu_apart: Whether SiLU is kept out of the convolutions before it, see `silu`.
    """

    operators: tuple[str, ...]
    symmetric: bool
    outputs: bool
    silu_apart: bool


SCHEMES: Final[Mapping[str, Scheme]] = {
    # A zero point that is not zero costs a third of the time.
    "openvino": Scheme(("Conv",), symmetric=True, outputs=False, silu_apart=True),
    # What stays float32 between two convolutions costs more than these save.
    "onnxruntime": Scheme(
        ("Conv", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Resize", "Split", "Slice"),
        symmetric=False,
        outputs=True,
        silu_apart=False,
    ),
}
"""Each runtime's, by its name."""


class Quantiser:
    """A model with the ranges of its activations.

    Args:
        model: As `Source.model`.
        scheme: What is quantised.
        feeds: What the model is run on to see the ranges, one by one.
        method: How a range follows from what is seen; one of `METHODS`.
        include: Names of further nodes to quantise, whatever and wherever they are.

    Attributes:
        layers: The names of the nodes that are quantised, in the order of the graph.

    Raises:
        ConfigurationError: If there is nothing to quantise, or nothing to run on.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        scheme: Scheme,
        feeds: Iterable[Feed],
        *,
        method: str = "percentile",
        include: Iterable[str] = (),
    ) -> None:
        self._model = model
        self._scheme = scheme
        nodes = {node.name: node for node in model.graph.node}
        if unknown := sorted(set(include) - nodes.keys()):
            raise ConfigurationError(f"expected names of nodes of the model, got {', '.join(unknown)}")
        kept = float_tail(model.graph) - set(include)
        constant = {item.name for item in model.graph.initializer}
        self.layers = tuple(
            name
            for name, node in nodes.items()
            if name in set(include)
            or (
                name not in kept
                and node.op_type in scheme.operators
                and (node.op_type != "Conv" or node.input[1] in constant)
            )
        )
        if not any(nodes[name].op_type == "Conv" for name in self.layers):
            raise ConfigurationError(
                "expected convolutions before the head's last ones, found none: there is nothing to quantise"
            )
        self._operators = sorted({nodes[name].op_type for name in self.layers})
        self._ranges = _ranges(model, self._operators, feeds, method)

    def quantised(self, layers: Iterable[str]) -> onnx.ModelProto:
        """Return a copy of the model with some of the layers quantised."""
        chosen = list(layers)
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        options: dict[str, Any] = {"ActivationSymmetric": self._scheme.symmetric}
        if self._scheme.symmetric:
            # Pixels are such: as int8 around zero they would lose a bit.
            options["TensorQuantOverrides"] = {
                name: [{"quant_type": QuantType.QUInt8, "symmetric": False}]
                for name, seen in self._ranges.items()
                if seen.range_value[0] >= 0.0
            }
        if not self._scheme.outputs:
            options["OpTypesToExcludeOutputQuantization"] = ["Conv"]
        quantizer = QDQQuantizer(
            model,
            True,  # a scale per channel
            False,  # all eight bits
            QuantType.QInt8,
            QuantType.QInt8 if self._scheme.symmetric else QuantType.QUInt8,
            self._ranges,
            chosen,
            [],
            self._operators,
            options,
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()  # it appends nodes as it makes them
        made: onnx.ModelProto = quantizer.model.model
        if self._scheme.silu_apart:
            separate_silu(made, chosen)
        return made


class _Feeds(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        feed = next(self._feeds, None)
        return None if feed is None else dict(feed)


def _ranges(model: onnx.ModelProto, operators: list[str], feeds: Iterable[Feed], method: str) -> Any:
    """Return the range of every tensor that the operators read or write."""
    feeds = iter(feeds)
    first = next(feeds, None)
    if first is None:
        raise ConfigurationError("expected at least one image to calibrate with, got none")
    feeds = itertools.chain([first], feeds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        calibrator = create_calibrator(
            path,
            operators,
            str(Path(folder) / "observed.onnx"),
            METHODS[method],
            extra_options={"symmetric": False},
        )
        # It prints how far it is; what is printed here may be JSON.
        with contextlib.redirect_stdout(io.StringIO()):
            # Least and largest values are few. Histograms are made of whole tensors, which a call keeps of
            # all of its feeds.
            for part in [feeds] if method == "minmax" else ([feed] for feed in feeds):
                calibrator.collect_data(_Feeds(part))
            return calibrator.compute_data()
