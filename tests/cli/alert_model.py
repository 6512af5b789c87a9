# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A small model with the contract of the classifier of alerts: the more was detected, the surer an SN Ia."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.token_classifier import CONTRACT
from lowlat_nodes.alerts.tokens import FIELDS


def write_alert_model(path: Path, threshold: float = 0.5) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.zeros((len(FIELDS), len(CLASSES)), np.float32)
    weights[-1, CLASSES.index("SN Ia")] = 8.0
    nodes = [
        helper.make_node("ReduceMean", ["tokens"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "alerts",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "length", len(FIELDS)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(CLASSES)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    metadata = {
        "contract": CONTRACT,
        "classes": json.dumps(CLASSES),
        "fields": json.dumps(FIELDS),
        "threshold": str(threshold),
    }
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path
