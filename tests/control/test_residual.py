# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A corrector between messages and the loop: units, cameras, and what is too old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from corrector_file import write_corrector

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import ObservationError
from lowlat_nodes.control.loop import Outlook
from lowlat_nodes.control.observer import NoObservation
from lowlat_nodes.control.policies.policy import ImageSpec, PolicySpec
from lowlat_nodes.control.residual import ResidualHead
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Image

MS = 1_000_000
EYE, REAR = ImageSpec(6, 8), ImageSpec(6, 8)
POLICY = PolicySpec(("a", "b"), ("position",), {"eye": EYE, "rear": REAR}, True, 16, 20 * MS, (False, False))
CAMERA = {"topic": "image", "width": 16, "height": 12}
STATE = RobotState(0, np.zeros(2), np.zeros(2))


def head(path: Path, *, policy: PolicySpec = POLICY, values: dict[str, Any] | None = None, **file: Any):
    config = {
        "observation": {"joints": {"names": ["a", "b"]}, "camera": {"front": CAMERA | {"feature": "eye"}}},
        "corrector": {"model": str(write_corrector(path / "c.onnx", **file))},
    }
    return ResidualHead(build(ControlConfig, config | (values or {})), policy)


def white(width: int = 16) -> Image:
    return Image(np.full((12, width, 3), 255, np.uint8), "rgb8")


def outlook(planned: float = 0.0, age_ns: int = 0) -> Outlook:
    return Outlook(1000 * MS, 3, np.full((3, 2), planned), age_ns, STATE)


def test_it_sees_its_own_cameras_only_in_its_own_size(tmp_path: Path) -> None:
    made = head(tmp_path, gain=0.3)
    assert made.cameras == {"front"}
    made.warm_up()
    made.see("front", white(), 950 * MS)
    values, image_ns = made.correct(outlook(), task="", now_ns=1000 * MS)
    assert values.tolist() == pytest.approx([0.3, 0.3])
    assert image_ns == 950 * MS


def test_targets_and_corrections_cross_in_the_units_of_the_policy(tmp_path: Path) -> None:
    grippers = {"gripper": {"b": {"closed": 0.02, "open": 0.06}}}
    cameras = {"camera": {"front": CAMERA | {"feature": "eye"}}}
    observation = {"joints": {"names": ["a", "b"], "unit": "deg"}, **grippers, **cameras}
    made = head(tmp_path, share=0.5, gain=0.0, values={"observation": observation})
    made.see("front", white(), 950 * MS)
    values, _ = made.correct(outlook(0.04), task="", now_ns=1000 * MS)
    # Half of 0.04 rad, whatever the unit; the gripper is half open, so it is told to open by a quarter.
    assert values.tolist() == pytest.approx([0.02, 0.01], rel=1e-5)


def test_the_age_is_told_in_action_periods(tmp_path: Path) -> None:
    made = head(tmp_path, image=None, gain=0.1)
    values, image_ns = made.correct(outlook(age_ns=70 * MS), task="", now_ns=1000 * MS)
    assert values.tolist() == pytest.approx([0.35, 0.35])
    assert image_ns == 0


def test_without_a_fresh_image_there_is_no_correction(tmp_path: Path) -> None:
    made = head(tmp_path)
    with pytest.raises(NoObservation, match="no_image"):
        made.correct(outlook(), task="", now_ns=1000 * MS)
    made.see("front", white(), 400 * MS)
    with pytest.raises(NoObservation, match="image_stale"):
        made.correct(outlook(), task="", now_ns=1000 * MS)
    with pytest.raises(ObservationError, match="expected 16x12"):
        made.see("front", white(15), 1000 * MS)
    assert "expected 16x12" in made.refusals["front"]


@pytest.mark.parametrize(
    ("file", "values", "policy", "words"),
    [
        ({"image": ("hand", 6, 8)}, {}, POLICY, r"takes images \['hand'\]"),
        ({"image": ("eye", 6, 6)}, {}, POLICY, "another aspect ratio"),
        (
            {},
            {"command": {"action_std": [2.0, 2.0]}},
            PolicySpec(("a", "b"), ("position",), {}, True, 16, 20 * MS, (True, False)),
            "expected no command.action_mean",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, file: dict[str, Any], values: dict[str, Any], policy: PolicySpec, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        head(tmp_path, values=values, policy=policy, **file)
