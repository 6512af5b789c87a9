# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies in TorchScript programs: the same inputs and words as those in ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec, infer
from lowlat_nodes.inference.tokens import tokenize
from lowlat_nodes.inference.torchscript import save
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")]

METADATA = {"joint_names": "a,b", "action_dt_ns": "20000000", "action_kind": "absolute"}


class Small(torch.nn.Module):
    """Adds up all that it sees, over the noise."""

    def forward(
        self, state: torch.Tensor, front: torch.Tensor, tokens: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        seen = front.mean(dim=[1, 2, 3]) + tokens.to(torch.float32).sum(dim=1)
        return noise + state[:, None] + seen[:, None, None]


def write_policy(path: Path, metadata: dict[str, str] | None = None, state: int = 2) -> Path:
    inputs = {
        "state": torch.zeros(1, state),
        "front": torch.zeros(1, 3, 4, 6),
        "tokens": torch.zeros(1, 12, dtype=torch.int64),
        "noise": torch.zeros(1, 5, state),
    }
    save(torch.jit.script(Small()), path, inputs, METADATA if metadata is None else metadata)
    return path


def load(path: Path, **values: Any) -> Any:
    return load_policy(build(PolicyConfig, {"kind": "torch", "model": str(path), **values}))


def test_a_program_is_a_policy(tmp_path: Path) -> None:
    policy = load(write_policy(tmp_path / "p.pt"), noise_scale=0.0)
    assert policy.spec == PolicySpec(
        ("a", "b"), ("position",), {"front": ImageSpec(4, 6)}, True, 5, 20_000_000, (False, False)
    )
    seen = Observation(np.float32([1, 2]), {"front": np.full((4, 6, 3), 51, np.uint8)}, "pick up")
    expected = np.array([1.0, 2.0]) + 0.2 + tokenize("pick up").sum()
    assert np.allclose(infer(policy, seen), [expected] * 5)


def test_noise_repeats_with_the_request(tmp_path: Path) -> None:
    policy = load(write_policy(tmp_path / "p.pt"))

    def actions(request: int) -> list[float]:
        image = np.zeros((4, 6, 3), np.uint8)
        return (
            infer(policy, Observation(np.zeros(2, np.float32), {"front": image}, "", request))
            .ravel()
            .tolist()
        )

    assert actions(1) == actions(1)
    assert actions(1) != actions(2)


def test_parameters_fill_in_what_the_program_does_not_say(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.pt", metadata={})
    assert load(path, action_period_ms=10.0, action_kind="delta").spec.delta == (True, True)
    with pytest.raises(ConfigurationError, match="expected an action period in ns and an action kind"):
        load(path)


def test_a_state_of_another_size_is_refused(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.pt", METADATA | {"state_layout": "position,velocity"})
    with pytest.raises(ConfigurationError, match="make 4 numbers, but its input 'state' takes 2"):
        load(path)


@pytest.mark.parametrize("graphs", [True, False])
def test_on_a_cpu_there_are_no_graphs_to_choose(graphs: bool, tmp_path: Path) -> None:
    policy = load(write_policy(tmp_path / "p.pt"), noise_scale=0.0, graphs=graphs)
    seen = Observation(np.float32([1, 2]), {"front": np.full((4, 6, 3), 51, np.uint8)}, "pick up")
    assert np.array_equal(infer(policy, seen), infer(load(tmp_path / "p.pt", noise_scale=0.0), seen))
    assert policy.not_graphed == ""  # nobody expected one


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_graphs_make_the_same_chunks(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.pt")
    seen = Observation(np.float32([1, 2]), {"front": np.full((4, 6, 3), 51, np.uint8)}, "pick up", 3)
    policies = [load(path, device="cuda", graphs=graphs) for graphs in (True, False)] + [load(path)]
    chunks = [infer(policy, seen) for policy in policies for _ in range(2)]
    assert all(np.allclose(chunk, chunks[0], atol=1e-5) for chunk in chunks)
    assert [policy.not_graphed for policy in policies] == ["", "", ""]


def test_a_shipped_name_is_no_program() -> None:
    with pytest.raises(
        ConfigurationError, match="expected a TorchScript program, found nothing at reach_flow"
    ):
        load_policy(PolicyConfig(kind="torch"))
