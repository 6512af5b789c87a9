# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported policies that are told the delay and the plan: what reaches the graph, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from continuing_policy import SPREAD, guided, write_continuing_policy

from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.control.policies.exported_conditions import ExportedConditions
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import Observation, blank_observation
from lowlat_nodes.control.prefix import soft_prefix
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

HORIZON = 16


def observation(known: int = 0, committed: int = 0, **more: Any) -> Observation:
    decided = np.linspace(1.0, 2.0, known)[:, None] if known else None
    return Observation(np.array([0.5], np.float32), decided=decided, committed=committed, **more)


def noise_of(policy: ExportedPolicy, request: int) -> np.ndarray:
    """The noise of a request, float64 [H, 1], as a policy without a plan shows it."""
    free = policy.infer(observation(request=request))
    return (free - 0.5) / SPREAD


@pytest.mark.parametrize(
    ("kind", "delay", "accepts"),
    [
        ("none", False, ()),
        ("none", True, ("delay",)),
        ("prefix", False, ("prefix",)),
        ("guidance", True, ("delay", "guidance")),
    ],
)
def test_a_graph_says_what_it_accepts(
    tmp_path: Path, kind: str, delay: bool, accepts: tuple[str, ...]
) -> None:
    policy = ExportedPolicy(write_continuing_policy(tmp_path / "p.onnx", kind, delay=delay))
    assert policy.spec.accepts == accepts
    assert policy.infer(blank_observation(policy.spec)).shape == (HORIZON, 1)


def test_the_delay_reaches_the_graph(tmp_path: Path) -> None:
    policy = ExportedPolicy(write_continuing_policy(tmp_path / "p.onnx", "none", delay=True), noise_scale=0.0)
    assert policy.infer(observation(delay_rows=2.25)).tolist() == [[2.75]] * HORIZON


@pytest.mark.parametrize(("known", "committed"), [(10, 4), (10, 0), (3, 9), (40, 5), (0, 0)])
def test_committed_rows_are_those_of_the_plan_and_the_others_are_free(
    tmp_path: Path, known: int, committed: int
) -> None:
    policy = ExportedPolicy(write_continuing_policy(tmp_path / "p.onnx", "prefix"))
    seen = observation(known, committed, request=3)
    actions, free = policy.infer(seen), policy.infer(observation(request=3))
    fixed = min(known, committed)
    if seen.decided is not None:
        assert actions[:fixed] == pytest.approx(seen.decided[:fixed])
    assert np.array_equal(actions[fixed:], free[fixed:])


@pytest.mark.parametrize("guidance", ["vjp", "identity"])
def test_guidance_follows_the_paper_with_and_without_the_jacobian(tmp_path: Path, guidance: str) -> None:
    prefix = ExportedPolicy(write_continuing_policy(tmp_path / "noise.onnx", "prefix"))
    policy = ExportedPolicy(write_continuing_policy(tmp_path / "p.onnx", "guidance"), guidance=guidance)
    seen = observation(10, 4, request=3)
    decided = np.zeros((HORIZON, 1))
    assert seen.decided is not None
    decided[:10] = seen.decided
    noise = noise_of(prefix, 3)
    weights = soft_prefix(4, 10, HORIZON)
    identity = guidance == "identity"
    assert policy.infer(seen) == pytest.approx(
        guided(np.array([0.5]), noise, decided, weights, identity=identity), abs=1e-5
    )
    assert np.abs(policy.infer(seen)[:4] - seen.decided[:4]).mean() < 0.4
    free = policy.infer(observation(request=3))
    assert free == pytest.approx(guided(np.array([0.5]), noise, decided, np.zeros(HORIZON)), abs=1e-5)


def test_the_parameter_chooses_the_guidance(tmp_path: Path) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", "guidance")
    answers = [
        load_policy(build(PolicyConfig, {"model": str(path), "guidance": guidance})).infer(observation(10, 4))
        for guidance in ("vjp", "identity")
    ]
    assert not np.allclose(*answers)
    with pytest.raises(ConfigurationError, match="did you mean 'vjp'"):
        build(PolicyConfig, {"guidance": "vjpp"})


def test_a_batch_is_its_observations_one_by_one(tmp_path: Path) -> None:
    policy = ExportedPolicy(write_continuing_policy(tmp_path / "p.onnx", "guidance", delay=True))
    batch = [
        observation(known, known // 2, request=known, delay_rows=0.3 * known) for known in (0, 3, 7, 16, 20)
    ]
    assert policy.batched
    answers = policy.infer_batch(batch)
    assert answers.shape == (5, HORIZON, 1)
    assert answers.dtype == np.float64
    for seen, answer in zip(batch, answers, strict=True):
        assert policy.infer(seen) == pytest.approx(answer, abs=1e-5)


def test_a_graph_for_one_takes_no_more(tmp_path: Path) -> None:
    policy = ExportedPolicy(write_continuing_policy(tmp_path / "p.onnx", "prefix", batch=1))
    assert not policy.batched
    assert policy.infer(observation(4, 2)).shape == (HORIZON, 1)
    with pytest.raises(ValueError, match="expected one observation, got 2"):
        policy.infer_batch([observation()] * 2)
    with pytest.raises(ValueError, match="got 0"):
        policy.infer_batch([])


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("prefix", {"without": ("weights",)}, r"expected inputs \['decided', 'weights'\] .* \['decided'\]"),
        ("prefix", {"without": ("decided",)}, r"expected inputs .* found \['weights'\]"),
        ("guidance", {"without": ("jacobian",)}, r"expected inputs \[.*'jacobian'\] with decided_as"),
        ("guidance", {"metadata": {"decided_as": "prefix"}}, r"found \['decided', 'weights', 'jacobian'\]"),
        ("none", {"metadata": {"decided_as": "prefix"}}, r"expected inputs .* found \[\]"),
        ("prefix", {"metadata": {"decided_as": "hint"}}, "decided_as = prefix or guidance .* got 'hint'"),
        ("prefix", {"metadata": {"decided_as": ""}}, "decided_as = prefix or guidance .* got ''"),
    ],
)
def test_graphs_that_are_no_such_policy_are_refused(
    tmp_path: Path, kind: str, options: dict[str, Any], words: str
) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", kind, **options)
    with pytest.raises(ConfigurationError, match=words):
        ExportedPolicy(path)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "words"),
    [
        ("delay", (0,), np.float32, r"'delay' .*\['B', 1\], got float32 \[0\]"),
        ("delay", (0, 2), np.float32, r"'delay' .*\['B', 1\]"),
        ("delay", (0, 1), np.float64, r"'delay' to be float32 .* got float64"),
        ("decided", (1, HORIZON, 2), np.float32, r"'decided' .*\['B', 16, 1\]"),
        ("weights", (1, 0), np.float32, r"'weights' .*\['B', 16\], got float32 \[1, 0\] \(0: open\)"),
        ("jacobian", (1, 1), np.bool_, r"'jacobian' to be float32"),
    ],
)
def test_inputs_of_another_shape_or_type_are_refused(
    name: str, shape: tuple[int, ...], dtype: type[np.generic], words: str
) -> None:
    shapes = {"delay": (0, 1), "decided": (0, HORIZON, 1), "weights": (0, HORIZON), "jacobian": (0, 1)}
    inputs = {key: TensorSpec(key, sizes, np.float32) for key, sizes in shapes.items()}
    inputs[name] = TensorSpec(name, shape, dtype)
    with pytest.raises(ConfigurationError, match=words):
        ExportedConditions(
            Path("p.onnx"), inputs, {"decided_as": "guidance"}, horizon=HORIZON, joints=1, guidance="vjp"
        )
