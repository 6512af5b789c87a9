# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Correctors in ONNX files: recognised by their inputs, refused where they fit neither those nor a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from corrector_file import METADATA, write_corrector

from lowlat_nodes.control.policies.corrector import CorrectorConfig, Glance, OnnxCorrector, load_corrector
from lowlat_nodes.control.policies.policy import ImageSpec, PolicySpec
from lowlat_nodes.stream.errors import ConfigurationError

POLICY = PolicySpec(("a", "b"), ("position",), {"eye": ImageSpec(6, 8)}, True, 16, 20_000_000, (False, False))


def glance(brightness: int, planned: float = 0.0, age: float = 0.0) -> Glance:
    return Glance(
        np.zeros(4, np.float32),
        np.full((3, 2), planned),
        age,
        {"eye": np.full((6, 8, 3), brightness, np.uint8)},
    )


def test_a_corrector_says_what_it_expects(tmp_path: Path) -> None:
    spec = OnnxCorrector(write_corrector(tmp_path / "c.onnx"), POLICY).spec
    assert (spec.joints, spec.state_fields) == (("a", "b"), ("position", "velocity"))
    assert spec.images == {"eye": ImageSpec(6, 8)}
    assert (spec.horizon, spec.action_period_ns, spec.takes_task) == (3, 20_000_000, False)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_corrects_one_or_several(tmp_path: Path, batch: int | str) -> None:
    corrector = OnnxCorrector(write_corrector(tmp_path / "c.onnx", batch=batch, share=0.5), POLICY)
    correction = corrector.correct([glance(255, 0.2), glance(0, 0.4), glance(51)])
    assert correction.dtype == np.float64
    assert correction == pytest.approx(np.array([[1.1, 1.1], [0.2, 0.2], [0.2, 0.2]]), abs=1e-6)


def test_knows_the_age_of_the_plan(tmp_path: Path) -> None:
    corrector = OnnxCorrector(write_corrector(tmp_path / "c.onnx", image=None, gain=0.1), POLICY)
    assert corrector.correct([glance(0, age=4.0)])[0].tolist() == pytest.approx([0.4, 0.4])


def test_what_the_file_does_not_say_is_as_the_policy_says(tmp_path: Path) -> None:
    path = write_corrector(tmp_path / "c.onnx", metadata={})
    spec = load_corrector(CorrectorConfig(model=str(path)), POLICY).spec
    assert (spec.joints, spec.action_period_ns) == (POLICY.joints, POLICY.action_period_ns)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shapes": {"state": [1, 2]}, "batch": 1}, "needs an input 'state' of shape .*4.*, got .*2"),
        ({"shapes": {"age": [1, 3]}, "batch": 1}, "needs an input 'age'"),
        ({"batch": 2}, "first dimension of all inputs and of 'correction' to be 1, or open"),
        (
            {"metadata": METADATA | {"joint_names": "b,a"}},
            r"policy's 2 joints \['a', 'b'\], it corrects 2",
        ),
        ({"joints": 3, "metadata": {}}, "it corrects 3"),
        ({"metadata": METADATA | {"action_dt_ns": "10000000"}}, "20000000 ns apart.*action_dt_ns = 10000000"),
        ({"metadata": METADATA | {"token_scheme": "bpe"}}, "its metadata says bpe"),
        ({"metadata": METADATA | {"state_layout": "position"}}, "needs an input 'state'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        OnnxCorrector(write_corrector(tmp_path / "c.onnx", **options), POLICY)


def test_a_policy_is_no_corrector() -> None:
    with pytest.raises(ConfigurationError, match="an output 'correction', found inputs"):
        load_corrector(CorrectorConfig(model="reach_flow"), POLICY)
