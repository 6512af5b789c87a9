# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Observation and command contracts: what fits, and what is refused with which words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowlat_nodes.control.contract import CommandConfig, Contract, ObservationConfig, ObservationError
from lowlat_nodes.control.policies.policy import ImageSpec, PolicySpec
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import NO_FLOATS, Image, Joints

SPEC = PolicySpec(
    joints=("arm", "hand"),
    state_fields=("position", "velocity"),
    images={"front": ImageSpec(60, 80)},
    takes_task=True,
    horizon=8,
    action_period_ns=20_000_000,
    delta=(False, False),
)
CAMERA = {"camera.front.topic": "image", "camera.front.width": 160, "camera.front.height": 120}


def contract(values: dict[str, Any] | None = None, spec: PolicySpec = SPEC, **command: Any) -> Contract:
    observation = {"joints.names": ["arm", "hand"], **CAMERA, **(values or {})}
    return Contract(build(ObservationConfig, observation), build(CommandConfig, command), spec)


def joints(names: tuple[str, ...], position: list[float], velocity: list[float]) -> Joints:
    return Joints(names, np.array(position), np.array(velocity), NO_FLOATS)


def test_joints_are_taken_by_name_whatever_their_order() -> None:
    state = contract().state(joints(("hand", "base", "arm"), [2.0, 9.0, 1.0], [0.2, 0.9, 0.1]), 5)
    assert state.stamp_ns == 5
    assert state.position.tolist() == [1.0, 2.0]
    assert state.velocity.tolist() == [0.1, 0.2]
    assert contract().features(state).tolist() == pytest.approx([1.0, 2.0, 0.1, 0.2])


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (joints(("arm",), [1.0], [0.0]), r"'hand'.*missing"),
        (joints(("arm", *"abcdefgh"), [], []), r"missing in \['arm', .* 'g'\] and 1 more"),
        (joints(("arm", "hand"), [1.0], [0.0, 0.0]), "expected 2 positions, one per joint, got 1"),
        (joints(("arm", "hand"), [1.0, 2.0], []), "needs velocities; expected 2, got 0"),
        (joints(("arm", "hand"), [1.0, 1e300], [0.0, 0.0]), "expected rad or m"),
        (joints(("arm", "hand"), [1.0, 2.0], [-1e300, 0.0]), "expected rad or m"),
    ],
)
def test_joint_states_that_do_not_fit_are_refused(message: Joints, words: str) -> None:
    with pytest.raises(ObservationError, match=words):
        contract().state(message, 0)


def test_velocities_may_be_missing_where_the_policy_needs_none() -> None:
    spec = replace(SPEC, state_fields=("position",))
    state = contract(spec=spec).state(joints(("arm", "hand"), [1.0, 2.0], []), 0)
    assert state.velocity.tolist() == [0.0, 0.0]
    assert contract(spec=spec).features(state).tolist() == [1.0, 2.0]


def test_degrees_and_back() -> None:
    degrees = contract({"joints.unit": "deg"})
    state = RobotState(0, np.array([math.pi, -math.pi / 2]), np.array([math.pi, 0.0]))
    assert degrees.features(state).tolist() == pytest.approx([180.0, -90.0, 180.0, 0.0])
    assert degrees.targets(np.array([[180.0, -90.0]])) == pytest.approx(np.array([[math.pi, -math.pi / 2]]))


def test_grippers_are_openings() -> None:
    gripping = contract({"gripper.hand.closed": 0.8, "gripper.hand.open": 0.0})
    state = RobotState(0, np.array([1.0, 0.2]), np.array([0.0, -0.4]))
    assert gripping.features(state).tolist() == pytest.approx([1.0, 0.75, 0.0, 0.5])
    assert gripping.targets(np.array([[1.0, 0.75]])) == pytest.approx(np.array([[1.0, 0.2]]))


def test_steps_of_a_gripper_are_scaled_but_not_shifted() -> None:
    steps = contract(
        {"gripper.hand.closed": 0.8, "gripper.hand.open": 0.0}, replace(SPEC, delta=(True, True))
    )
    assert steps.targets(np.array([[0.1, 0.5]])) == pytest.approx(np.array([[0.1, -0.4]]))


def test_normalisation_and_back() -> None:
    normal = contract(
        {"state_mean": [1.0, 1.0, 0.0, 0.0], "state_std": [2.0, 4.0, 1.0, 1.0]},
        action_mean=[0.5, 0.0],
        action_std=[2.0, 1.0],
    )
    state = RobotState(0, np.array([3.0, 5.0]), np.array([1.0, 2.0]))
    assert normal.features(state).tolist() == pytest.approx([1.0, 1.0, 1.0, 2.0])
    assert normal.targets(np.array([[1.0, 1.0]])) == pytest.approx(np.array([[2.5, 1.0]]))


@pytest.mark.parametrize(
    ("encoding", "first"), [("rgb8", [10, 20, 30]), ("bgr8", [30, 20, 10]), ("mono8", [9] * 3)]
)
def test_images_become_rgb_of_the_policys_size(encoding: str, first: list[int]) -> None:
    data = (
        np.full((120, 160), 9, np.uint8)
        if encoding == "mono8"
        else np.full((120, 160, 3), (10, 20, 30), np.uint8)
    )
    image = contract({"camera.front.encoding": encoding}).image("front", Image(data, encoding))
    assert image.shape == (60, 80, 3)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == first


@given(
    arrays(np.float64, st.tuples(st.integers(0, 9), st.just(2)), elements=st.floats(-10.0, 10.0)),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from(["rad", "deg"]),
    st.booleans(),
    st.booleans(),
)
def test_actions_are_the_reverse_of_targets(
    targets: np.ndarray, delta: tuple[bool, bool], unit: str, gripper: bool, scaled: bool
) -> None:
    opening = {"gripper.hand.closed": 0.7, "gripper.hand.open": -0.1} if gripper else {}
    scales = {"action_mean": [0.3, -2.0], "action_std": [0.5, 4.0]} if scaled else {}
    both = contract({"joints.unit": unit, **opening}, replace(SPEC, delta=delta), **scales)
    assert both.targets(both.actions(targets)) == pytest.approx(targets, abs=1e-9)
    assert both.actions(both.targets(targets)) == pytest.approx(targets, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "encoding"), [((120, 161, 3), "rgb8"), ((60, 80, 3), "rgb8"), ((120, 160, 3), "bgr8")]
)
def test_images_of_another_size_or_encoding_are_refused(shape: tuple[int, ...], encoding: str) -> None:
    with pytest.raises(ObservationError, match="expected 160x120 rgb8, got"):
        contract().image("front", Image(np.zeros(shape, np.uint8), encoding))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"joints.names": ["hand", "arm"]},
            r"expects \['arm', 'hand'\] in this order, got \['hand', 'arm'\]",
        ),
        ({"joints.names": ["arm"]}, r"moves 2 joints \['arm', 'hand'\], got 1"),
        ({"joints.names": ["arm", "arm"]}, "expected distinct joint names"),
        ({"camera.front.feature": "wrist"}, r"takes images \['front'\], the contract gives \['wrist'\]"),
        ({"camera.front.width": 120}, "another aspect ratio"),
        ({"gripper.foot.closed": 0.0, "gripper.foot.open": 1.0}, "no such joint"),
        ({"gripper.hand.closed": 1.0, "gripper.hand.open": 1.0}, "must differ"),
        ({"state_mean": [1.0]}, "expected 4 numbers"),
        ({"state_std": [1.0, 0.0, 1.0, 1.0]}, "not zero"),
        (
            {"camera.front.compressed": True, "camera.front.encoding": "bgr8"},
            "decoded to rgb8.*got bgr8; leave encoding out",
        ),
        ({"joints.nams": ["arm"]}, "did you mean 'joints.names'"),
    ],
)
def test_contracts_that_do_not_fit_the_policy_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        contract(values)


def test_a_camera_for_nothing_and_a_policy_without_camera_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"takes images \[\], the contract gives \['front'\]"):
        contract(spec=replace(SPEC, images={}))
    with pytest.raises(ConfigurationError, match=r"takes images \['front'\], the contract gives \[\]"):
        Contract(build(ObservationConfig, {"joints.names": ["arm", "hand"]}), CommandConfig(), SPEC)


def test_unknown_state_fields_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\['torque'\]; expected position and velocity"):
        contract(spec=replace(SPEC, state_fields=("position", "torque")))
