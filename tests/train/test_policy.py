# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.train import policy

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.sim]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_short_training_run_ends_in_a_model_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    out = tmp_path / "deep" / "tiny.onnx"
    options = ["--images", "96", "--steps", "3", "--targets", "0", "--threads", "1"]
    assert policy.main(["--out", str(out), *options]) == 0
    captured = capsys.readouterr()
    assert not captured.out
    assert "step 3 of 3" in captured.err
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    feed = {
        "image": np.zeros((2, 120, 160, 3), np.uint8),
        "state": np.zeros((2, 6), np.float32),
        "tokens": np.zeros((2, 12), np.int64),
        "noise": np.zeros((2, 32, 3), np.float32),
    }
    (actions,) = session.run(["actions"], feed)
    assert actions.shape == (2, 32, 3)
    assert np.isfinite(actions).all()
    assert np.array_equal(actions[0], actions[1])
    assert session.get_modelmeta().custom_metadata_map["action_kind"] == "absolute"


def test_targets_survive_normalisation() -> None:
    from lowlat_nodes.train.flow import FlowPolicy

    net = FlowPolicy()
    net.action_scale.uniform_(0.1, 2.0)
    targets, state = torch.randn(4, 32, 3), torch.randn(4, 6)
    assert torch.allclose(net.to_targets(net.from_targets(targets, state), state), targets, atol=1e-5)


def test_training_reduces_the_loss() -> None:
    from lowlat_nodes.train.flow import FlowPolicy

    torch.manual_seed(0)
    net = FlowPolicy()
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    image, tokens = torch.rand(4, 3, 60, 80) * 255, torch.randint(1, 100, (4, 12))
    chunk, state = torch.randn(4, 96), torch.randn(4, 6)
    losses = []
    for _ in range(40):
        loss = net.loss(chunk, net.perceive(image, tokens), state)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
