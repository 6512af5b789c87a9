# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of the policy node send each other survives the way."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.control.policies.policy import ImageSpec, PolicySpec
from lowlat_nodes.nodes.policy.messages import (
    HISTORY_ROOM,
    LONGEST_REASON,
    LONGEST_TASK,
    brief,
    check_size,
    floats,
    pack,
    unpack,
)
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.channel import MAX_MESSAGE


def test_a_message_is_a_kind_and_its_content() -> None:
    actions = np.arange(6.0).reshape(3, 2)
    kind, content = unpack(pack("answer", request=3, actions=actions.tobytes(), reason="", list=[(1, b"x")]))
    assert kind == "answer"
    assert content.pop("list") == [[1, b"x"]]
    assert np.array_equal(floats(content.pop("actions"), 2), actions)
    assert content == {"request": 3, "reason": ""}


def test_a_large_array_fits_a_message() -> None:
    values = np.arange((MAX_MESSAGE - 100) // 8, dtype=np.float64)
    _, content = unpack(pack("answer", actions=values.tobytes()))
    assert np.array_equal(floats(content["actions"]), values)


def test_a_reason_is_cut_where_a_message_must_end() -> None:
    fits = "x" * LONGEST_REASON
    assert brief(fits) == fits
    cut = brief(f"{fits}x")
    assert len(cut) == LONGEST_REASON
    assert cut == f"{fits[:-4]} ..."


def test_a_specification_comes_back_equal() -> None:
    spec = PolicySpec(
        joints=("a", "b"),
        state_fields=("position", "velocity"),
        images={"front": ImageSpec(48, 64), "wrist": ImageSpec(1, 2)},
        takes_task=True,
        horizon=32,
        action_period_ns=20_000_000,
        delta=(False, True),
    )
    _, content = unpack(pack("ready", spec=spec.to_plain()))
    assert PolicySpec.from_plain(content["spec"]) == spec


@pytest.mark.parametrize("accepts", [(), ("delay",), ("prefix",), ("guidance", "delay")])
@pytest.mark.parametrize("horizon", [1, 7, 50, 400, 6000])
def test_whatever_is_accepted_at_configuration_fits_a_message(horizon: int, accepts: tuple[str, ...]) -> None:
    def spec(joints: int) -> PolicySpec:
        return PolicySpec((), ("position",), {}, True, horizon, 20_000_000, (False,) * joints, accepts)

    def accepted(joints: int) -> bool:
        try:
            check_size(spec(joints))
        except ConfigurationError:
            return False
        return True

    joints = max(joints for joints in range(1, 5000) if accepted(joints))
    state = bytes(8 * joints)
    plan = bytes(8 * horizon * joints) if {"prefix", "guidance"} & set(accepts) else b""
    launch = pack(
        "launch",
        request=2**63,
        position=state,
        velocity=state,
        launched_ns=2**63,
        task="\U0001f916" * LONGEST_TASK,
        align=True,
        history=[(2**63, state, state)] * min(256, HISTORY_ROOM // (16 * joints + 32)),
        start_ns=2**63,
        decided=plan,
        committed=horizon,
    )
    answer = pack("answer", problem="\U0001f916" * LONGEST_REASON, actions=bytes(8 * horizon * joints))
    assert len(launch) <= MAX_MESSAGE
    assert len(answer) <= MAX_MESSAGE
    with pytest.raises(ConfigurationError, match=f"horizon of {horizon} for {joints + 1} joints makes"):
        check_size(spec(joints + 1))
