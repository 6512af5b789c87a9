# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""t2 as an ONNX graph, from interpolated light curves to probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnx.parser
import torch
from onnx import numpy_helper

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.t2_classifier import CONTRACT
from lowlat_nodes.alerts.t2_inputs import PASSBANDS
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.t2.model import FLUX_UNIT_NJY, ScaledT2, T2Config, sinusoids

_LAYERS: Final = (
    "embed",
    "encoder.attention.query",
    "encoder.attention.key",
    "encoder.attention.value",
    "encoder.attention.combine",
    "encoder.widen",
    "encoder.narrow",
    "classify",
)
"""The layers with a matrix of weights, which files hold as [in, out]."""

_NORMS: Final = ("encoder.norm_attention", "encoder.norm_forward")

_TEXT: Final = """\
<ir_version: 8, opset_import: ["": 17], producer_name: "lowlat_nodes">
t2 (float[batch,{steps},{bands}] flux_njy, float[batch,{steps},{bands}] error_njy, float[batch] span_days)
   => (float[batch,{classes}] probabilities)
{{
   measured = Concat<axis = -1>(flux_njy, error_njy)
   in_units = Div(measured, flux_unit_njy)
   scaled = Asinh(in_units)
   span_and_day = Add(span_days, one_day)
   log_span = Log(span_and_day)
   span_column = Unsqueeze(log_span, last_axes)
   spans = Expand(span_column, every_step)
   channels = Concat<axis = -1>(scaled, spans)

   embed_product = MatMul(channels, embed_weight)
   embed_sum = Add(embed_product, embed_bias)
   embedded = Relu(embed_sum)
   placed = Add(embedded, positions)

   query_product = MatMul(placed, encoder_attention_query_weight)
   query_sum = Add(query_product, encoder_attention_query_bias)
   query_scaled = Mul(query_sum, depth_scale)
   query_parts = Reshape(query_scaled, head_shape)
   query = Transpose<perm = [0, 2, 1, 3]>(query_parts)
   key_product = MatMul(placed, encoder_attention_key_weight)
   key_sum = Add(key_product, encoder_attention_key_bias)
   key_parts = Reshape(key_sum, head_shape)
   key = Transpose<perm = [0, 2, 3, 1]>(key_parts)
   value_product = MatMul(placed, encoder_attention_value_weight)
   value_sum = Add(value_product, encoder_attention_value_bias)
   value_parts = Reshape(value_sum, head_shape)
   value = Transpose<perm = [0, 2, 1, 3]>(value_parts)
   scores = MatMul(query, key)
   attention = Softmax<axis = -1>(scores)
   taken = MatMul(attention, value)
   taken_parts = Transpose<perm = [0, 2, 1, 3]>(taken)
   taken_together = Reshape(taken_parts, step_shape)
   combine_product = MatMul(taken_together, encoder_attention_combine_weight)
   combined = Add(combine_product, encoder_attention_combine_bias)
   attended = Add(placed, combined)
   norm_attention = LayerNormalization<axis = -1, epsilon = 1.0e-6>(
      attended, encoder_norm_attention_weight, encoder_norm_attention_bias)

   widen_product = MatMul(norm_attention, encoder_widen_weight)
   widen_sum = Add(widen_product, encoder_widen_bias)
   wide = Relu(widen_sum)
   narrow_product = MatMul(wide, encoder_narrow_weight)
   narrow = Add(narrow_product, encoder_narrow_bias)
   forwarded = Add(norm_attention, narrow)
   encoded = LayerNormalization<axis = -1, epsilon = 1.0e-6>(
      forwarded, encoder_norm_forward_weight, encoder_norm_forward_bias)

   pooled = ReduceMean<axes = [1], keepdims = 0>(encoded)
   classify_product = MatMul(pooled, classify_weight)
   logits = Add(classify_product, classify_bias)
   probabilities = Softmax<axis = -1>(logits)
}}
"""


def write_onnx(
    weights: Mapping[str, torch.Tensor], path: Path, config: T2Config, *, threshold: float = 0.0
) -> None:
    """Write the weights of a `T2` as an ONNX file; below the threshold it is better not to decide.

    It takes `flux_njy` and `error_njy`, float32 [B, steps, passbands], and `span_days`, float32 [B], and
    gives `probabilities`, float32 [B, classes]. Its metadata name the contract, classes, passbands and
    threshold.
    """
    depth = config.width // config.heads
    text = _TEXT.format(steps=config.steps, bands=len(PASSBANDS), classes=config.classes)
    model = onnx.parser.parse_model(text)
    constants = {
        "flux_unit_njy": np.float32(FLUX_UNIT_NJY),
        "one_day": np.float32(1.0),
        "last_axes": np.array([1, 2]),
        "every_step": np.array([1, config.steps, 1]),
        "positions": sinusoids(config.steps, config.width).numpy(),
        "depth_scale": np.float32(depth**-0.5),
        "head_shape": np.array([0, 0, config.heads, depth]),
        "step_shape": np.array([0, 0, config.width]),
    }
    for name in _LAYERS:
        constants[_held(name, "weight")] = weights[f"{name}.weight"].numpy().T
        constants[_held(name, "bias")] = weights[f"{name}.bias"].numpy()
    for name in _NORMS:
        constants |= {_held(name, part): weights[f"{name}.{part}"].numpy() for part in ("weight", "bias")}
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    metadata = {
        "contract": CONTRACT,
        "classes": json.dumps(CLASSES),
        "passbands": json.dumps(PASSBANDS),
        "threshold": str(threshold),
    }
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def read_onnx(path: Path) -> ScaledT2:
    """Return the network in a file of `write_onnx`.

    Raises:
        ConfigurationError: If it is none.
    """
    graph = onnx.load(path).graph
    held = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    parts = [(name, part) for name in (*_LAYERS, *_NORMS) for part in ("weight", "bias")]
    wanted = [*(_held(name, part) for name, part in parts), "head_shape", "positions"]
    missing = [name for name in wanted if name not in held]
    if missing:
        raise ConfigurationError(
            f"{path}: expected the weights of t2, {', '.join(missing[:3])} are missing; give a file that "
            f"lowlat train t2 has written in floating point"
        )
    steps, width = held["positions"].shape
    config = T2Config(
        channels=held[_held("embed", "weight")].shape[0],
        classes=len(held[_held("classify", "bias")]),
        steps=steps,
        width=width,
        heads=int(held["head_shape"][2]),
        hidden=len(held[_held("encoder.widen", "bias")]),
    )
    scaled = ScaledT2(config)
    state = {f"{name}.{part}": torch.from_numpy(held[_held(name, part)].copy()) for name, part in parts}
    for name in _LAYERS:
        state[f"{name}.weight"] = state[f"{name}.weight"].T
    scaled.network.load_state_dict(state)
    return scaled


def _held(name: str, part: str) -> str:
    """Return what a file calls a part of a layer; names in the text of a graph have no dots."""
    return f"{name}.{part}".replace(".", "_")
