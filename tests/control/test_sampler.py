# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations out of messages: the grid, causality, episodes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.sampler import Sampler, Sampling, Step
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import NO_FLOATS, Image, Joints, Text
from lowlat_nodes.stream.trace import Trace

MS = 1_000_000
S = 1000 * MS
EPOCH_NS = 1_700_000_000 * S
PARAMETERS = {
    "observation.joints.names": ["a", "b"],
    "observation.joints.timeout_ms": 100.0,
    "observation.camera.front.topic": "image",
    "observation.camera.front.width": 2,
    "observation.camera.front.height": 1,
    "observation.image_timeout_ms": 300.0,
    "observation.task.text": "wait",
    "command.topic": "commands",
}


def sampler(parameters: dict[str, Any] | None = None, **sampling: Any) -> Sampler:
    return Sampler(build(ControlConfig, {**PARAMETERS, **(parameters or {})}), Sampling(**sampling))


def message(topic: str, at_ms: float, payload: Any, stamp_ms: float | None = None) -> Message:
    received_ns = EPOCH_NS + round(at_ms * MS)
    capture_ns = received_ns if stamp_ms is None else EPOCH_NS + round(stamp_ms * MS)
    return Message(topic, payload, Trace(capture_ns=capture_ns, received_ns=received_ns))


def state(at_ms: float, value: float, velocity: float = 0.0, stamp_ms: float | None = None) -> Message:
    joints = Joints(("b", "a"), np.array([-value, value]), np.array([-velocity, velocity]), NO_FLOATS)
    return message("joint_states", at_ms, joints, stamp_ms)


def image(at_ms: float, value: int, stamp_ms: float | None = None) -> Message:
    return message("image", at_ms, Image(np.full((1, 2, 3), value, np.uint8), "rgb8"), stamp_ms)


def command(at_ms: float, value: float) -> Message:
    return message("commands", at_ms, np.array([value, -value]))


def task(at_ms: float, text: str) -> Message:
    return message("task", at_ms, Text(text))


def run(made: Sampler, messages: Iterable[Message]) -> list[Step]:
    steps = [step for item in messages for step in made.take(item)]
    return [*steps, *made.finish()]


def times_ms(steps: list[Step]) -> list[float]:
    return [(step.instant_ns - EPOCH_NS) / MS for step in steps]


def second(hole: tuple[float, float] = (0, 0), missing: str = "") -> list[Message]:
    """A second of all streams, states and commands at 100 Hz, images at 20, but for one in a hole."""
    messages = [state(at, at / 1000) for at in range(0, 1001, 10)]
    messages += [command(at + 5, at / 1000) for at in range(0, 1000, 10)]
    messages += [image(at + 3, at // 10) for at in range(0, 1000, 50)]
    kept = [
        item
        for item in messages
        if item.topic != missing or not hole[0] <= (item.trace.received_ns - EPOCH_NS) / MS < hole[1]
    ]
    return sorted(kept, key=lambda item: item.trace.received_ns)


def test_steps_lie_on_a_grid_and_show_the_newest_of_each_stream() -> None:
    steps = run(sampler(fps=20), second())
    assert times_ms(steps) == [float(at) for at in range(50, 1001, 50)]
    assert [step.first for step in steps] == [True] + [False] * 19
    fourth = steps[3]  # at 200 ms
    np.testing.assert_array_equal(fourth.state, np.array([0.2, -0.2], np.float32))
    # The image of 203 ms and the command of 205 ms have not come yet.
    assert fourth.images["front"].tolist() == [[[15] * 3] * 2]
    np.testing.assert_array_equal(fourth.action, np.array([0.19, -0.19], np.float32))
    assert fourth.task == "wait"


def test_the_grid_does_not_drift_where_the_period_is_no_whole_number() -> None:
    steps = run(sampler(fps=30), second())
    assert [step.instant_ns for step in steps] == [EPOCH_NS + number * S // 30 for number in range(1, 31)]


def test_what_is_received_at_the_instant_counts() -> None:
    made = sampler(fps=10)
    steps = run(made, [state(100, 1.0), image(100, 5), task(100, "go"), command(100, 2.0)])
    assert times_ms(steps) == [100.0]
    assert steps[0].action.tolist() == [2.0, -2.0]
    assert steps[0].task == "go"


def test_an_image_that_is_still_the_newest_is_the_same_object() -> None:
    steps = run(sampler(fps=100), second())
    pairs = itertools.pairwise(step.images["front"] for step in steps)
    same = [left is right for left, right in pairs]
    assert same.count(False) == 19  # of 20 images, one is there from the first step on


@pytest.mark.parametrize(
    ("missing", "hole", "gone", "reason"),
    [
        # The last state is of 290 ms, the timeout 100 ms.
        ("joint_states", (300, 700), (390, 700), "joint states older"),
        ("image", (300, 800), (560, 800), "images older"),
        ("commands", (200, 900), (700, 900), "no new command"),
    ],
)
def test_an_episode_is_cut_where_a_stream_is_missing(
    missing: str, hole: tuple[float, float], gone: tuple[float, float], reason: str
) -> None:
    made = sampler(fps=100)
    found = times_ms(run(made, second(hole, missing)))
    whole = times_ms(run(sampler(fps=100), second()))
    before = [at for at in found if at <= gone[0]]
    after = [at for at in found if at > gone[0]]
    assert [at for at in whole if at <= before[-1]] == before
    assert [at for at in whole if at >= after[0]] == after
    assert gone[0] - 20 <= before[-1] <= gone[0]
    assert gone[1] <= after[0] <= gone[1] + 20
    assert [text for text in made.cuts.snapshot() if text.startswith(reason)]
    assert made.cuts.total == 1


def test_an_episode_begins_after_each_cut() -> None:
    steps = run(sampler(fps=100), second((300, 700), "joint_states"))
    firsts = [at for at, step in zip(times_ms(steps), steps, strict=True) if step.first]
    assert firsts == [10.0, 700.0]


def test_short_episodes_are_left_out_and_counted() -> None:
    messages = [*second((300, 950), "joint_states")]
    made = sampler(fps=100, min_steps=10)
    steps = run(made, messages)
    assert times_ms(steps)[-1] == 390.0
    assert made.short == 1
    assert sum(step.first for step in steps) == 1


def test_a_task_changes_within_an_episode_or_between_two() -> None:
    messages = sorted([*second(), task(505, "go")], key=lambda item: item.trace.received_ns)
    together, apart = run(sampler(fps=100), messages), run(sampler(fps=100, split_tasks=True), messages)
    assert [step.task for step in together] == [step.task for step in apart]
    assert {step.task for step in together} == {"wait", "go"}
    assert sum(step.first for step in together) == 1
    (begin,) = [at for at, step in zip(times_ms(apart)[1:], apart[1:], strict=True) if step.first]
    assert begin == 510.0


def test_units_grippers_and_velocities_are_those_of_the_policy() -> None:
    made = sampler(
        {
            "observation.joints.unit": "deg",
            "observation.gripper.b.closed": 0.0,
            "observation.gripper.b.open": -2.0,
            "observation.state_mean": [7.0, 7.0, 7.0, 7.0],
            "command.action_std": [3.0, 3.0],
        },
        fps=10,
        velocities=True,
    )
    (step,) = run(made, [state(90, 1.0, 0.5), image(91, 0), command(92, 0.5), state(100, 1.0, 0.5)])
    expected = [math.degrees(1.0), 0.5, math.degrees(0.5), 0.25]
    np.testing.assert_allclose(step.state, expected, rtol=1e-6)  # not normalised
    np.testing.assert_allclose(step.action, [math.degrees(0.5), 0.25], rtol=1e-6)


def test_images_are_named_after_their_group_or_as_lerobot_names_them() -> None:
    plain = sampler({"observation.camera.front.feature": "cam/high"})
    assert list(plain.cameras) == ["front"]
    named = sampler({"observation.camera.front.feature": "observation.images.top"})
    assert list(named.cameras) == ["top"]
    steps = run(named, [state(90, 1.0), image(91, 9), command(92, 0.5), state(100, 1.0)])
    assert list(steps[-1].images) == ["top"]


def test_stamps_tell_the_age_unless_they_are_of_another_clock() -> None:
    old = run(sampler(fps=10), [image(95, 1), command(95, 1.0), state(99, 1.0, stamp_ms=-10)])
    assert old == []
    other = [image(95, 1, stamp_ms=-1e6), command(95, 1.0), state(99, 1.0, stamp_ms=-1e6), command(100, 1.0)]
    assert len(run(sampler(fps=10), other)) == 1


def test_messages_that_do_not_fit_are_counted_and_change_nothing() -> None:
    made = sampler(fps=10)
    wrong = Joints(("a",), np.array([1.0]), NO_FLOATS, NO_FLOATS)
    nan = Joints(("a", "b"), np.array([1.0, math.nan]), NO_FLOATS, NO_FLOATS)
    steps = run(
        made,
        [
            state(90, 0.5),
            image(90, 1),
            command(90, 1.0),
            message("joint_states", 91, wrong),
            message("joint_states", 92, nan),
            message("image", 93, Image(np.zeros((2, 2, 3), np.uint8), "rgb8")),
            message("commands", 94, np.array([1.0, 2.0, 3.0])),
            state(100, 0.5),
        ],
    )
    assert len(steps) == 1
    assert made.left_out.snapshot() == {"joint_states": 2, "front": 1, "commands": 1}
    assert "expected 2x1 rgb8, got 2x2" in made.refusals["front"]


def test_another_recording_knows_nothing_of_the_one_before() -> None:
    made = sampler(fps=10)
    assert run(made, [state(90, 1.0), image(90, 1), command(90, 1.0), state(100, 1.0)])
    made.begin_anew()
    assert run(made, [state(190, 1.0), state(200, 1.0)]) == []
    assert made.waiting_for == "no command"


def test_years_between_two_messages_take_no_time() -> None:
    messages = [*second(), state(4e10, 1.0), state(8e10, 1.0)]
    made = sampler(fps=1000)
    assert times_ms(run(made, messages))[-1] == 1100.0
    assert made.cuts.total == 1


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": 1001}, {"min_steps": 0}])
def test_settings_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="expected 1 to 1000 fps"):
        Sampling(**wrong)


stamps = st.lists(st.integers(0, 2_000), min_size=1, max_size=40).map(sorted)


@given(states=stamps, images=stamps, commands=stamps, fps=st.integers(1, 200))
def test_each_step_is_what_a_search_by_hand_finds(
    states: list[int], images: list[int], commands: list[int], fps: int
) -> None:
    """Whatever comes when: newest at or before each instant, no older than its timeout, nothing later."""
    messages = [
        *(state(at, at / 8) for at in states),
        *(image(at, at % 251) for at in images),
        *(command(at, at / 8) for at in commands),
    ]
    messages.sort(key=lambda item: item.trace.received_ns)
    found = {step.instant_ns: step for step in run(sampler(fps=fps), messages)}
    end_ns = max(states[-1], images[-1], commands[-1]) * MS
    previous = None
    for number in range(end_ns * fps // S + 1):
        at_ns = number * S // fps
        newest = [
            max((stamp for stamp in stream if stamp * MS <= at_ns), default=None)
            for stream in (states, images, commands)
        ]
        fresh = [
            stamp is not None and at_ns - stamp * MS <= limit * MS
            for stamp, limit in zip(newest, (100, 300, 500), strict=True)
        ]
        step = found.pop(EPOCH_NS + at_ns, None)
        assert (step is not None) == all(fresh)
        if step is not None:
            assert step.state[0] == np.float32(newest[0] / 8)
            assert step.images["front"][0, 0, 0] == newest[1] % 251
            assert step.action[0] == np.float32(newest[2] / 8)
            assert step.first == (previous is None)
        previous = step
    assert not found
