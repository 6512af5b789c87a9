# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ONNX file of t2 computes what the torch network does, and can be read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.torch


def test_the_file_computes_what_the_network_does_and_can_be_read_back(tmp_path: Path) -> None:
    from lowlat_nodes.train.t2.graph import read_onnx, write_onnx
    from lowlat_nodes.train.t2.model import OURS, ScaledT2

    torch.manual_seed(0)
    net, path = ScaledT2().eval(), tmp_path / "t2.onnx"
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    write_onnx(net.network.state_dict(), path, OURS)
    assert path.stat().st_size < 100_000

    random = np.random.default_rng(0)
    feed = {
        "flux_njy": random.normal(0.0, 1e5, (5, 100, 2)).astype(np.float32),
        "error_njy": random.uniform(0.0, 1e5, (5, 100, 2)).astype(np.float32),
        "span_days": np.array([0.0, 1.0, 30.0, 200.0, 1000.0], np.float32),
    }
    model = OnnxModel(path)
    (found,) = model.run(feed, ["probabilities"])
    with torch.no_grad():
        logits = net(*(torch.from_numpy(feed[name]) for name in net.inputs))
        again = read_onnx(path).eval()(*(torch.from_numpy(feed[name]) for name in net.inputs))
    np.testing.assert_allclose(found, torch.softmax(logits, -1).numpy(), atol=1e-5)
    assert torch.equal(logits, again)
    assert json.loads(model.metadata["classes"]) == list(CLASSES)
    assert json.loads(model.metadata["passbands"]) == ["ztf_g", "ztf_r"]


def test_another_model_is_refused(tmp_path: Path) -> None:
    from lowlat_nodes.train.t2.graph import read_onnx

    text = '<ir_version: 8, opset_import: ["": 17]> g (float[1] x) => (float[1] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "other.onnx")
    with pytest.raises(ConfigurationError, match="weights of t2"):
        read_onnx(tmp_path / "other.onnx")
