# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A head behind an encoder that remembers what it saw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.split import CachedEncoder, SplitModel
from lowlat_nodes.stream.errors import ConfigurationError

onnx = pytest.importorskip("onnx")


def graph(path: Path, operator: str, inputs: list[str], output: str, metadata: dict[str, str]) -> Path:
    """Write a graph of one operator over float32 [B, 2] inputs."""
    from onnx import TensorProto, helper

    def value(name: str) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2])

    made = helper.make_graph(
        [helper.make_node(operator, inputs, [output])],
        "made",
        [value(name) for name in inputs],
        [value(output)],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


class Counted(OnnxModel):
    """Counts the rows that went through."""

    rows = 0

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        self.rows += len(next(iter(feed.values())))
        return super().run(feed, outputs)


@pytest.fixture
def encoder(tmp_path: Path) -> Counted:
    return Counted(graph(tmp_path / "encoder.onnx", "Sub", ["left", "right"], "features", {"a": "1"}))


@pytest.fixture
def head(tmp_path: Path) -> OnnxModel:
    return OnnxModel(graph(tmp_path / "head.onnx", "Mul", ["features", "state"], "actions", {"b": "2"}))


def feed(*left: float) -> dict[str, np.ndarray]:
    rows = len(left)
    return {
        "left": np.array([[value, value] for value in left], np.float32),
        "right": np.ones((rows, 2), np.float32),
        "state": np.arange(2 * rows, dtype=np.float32).reshape(rows, 2),
    }


def test_both_files_make_one_graph(encoder: Counted, head: OnnxModel) -> None:
    whole = SplitModel(CachedEncoder(encoder), head)
    assert set(whole.inputs) == {"left", "right", "state"}
    assert set(whole.outputs) == {"actions"}
    assert whole.metadata == {"a": "1", "b": "2"}
    given = feed(3.0, 5.0)
    (actions,) = whole.run(given, ["actions"])
    np.testing.assert_array_equal(actions, (given["left"] - given["right"]) * given["state"])


def test_what_was_seen_is_not_encoded_again(encoder: Counted, head: OnnxModel) -> None:
    cached = CachedEncoder(encoder)
    one, other = SplitModel(cached, head), SplitModel(cached, head)
    one.run(feed(3.0, 5.0, 3.0), ["actions"])
    assert encoder.rows == 2
    given = feed(5.0, 7.0, 3.0)
    (actions,) = other.run(given, ["actions"])
    assert encoder.rows == 3
    np.testing.assert_array_equal(actions, (given["left"] - given["right"]) * given["state"])


def test_features_are_forgotten_in_the_end(encoder: Counted) -> None:
    cached = CachedEncoder(encoder, kept=2)
    for value in (1.0, 2.0, 3.0, 1.0):
        cached.features({name: part for name, part in feed(value).items() if name != "state"})
    assert encoder.rows == 4


def test_an_encoder_gives_features(head: OnnxModel) -> None:
    with pytest.raises(ConfigurationError, match="expected the output 'features', found"):
        CachedEncoder(head)
