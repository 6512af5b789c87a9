# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy as a processor over recorded messages: deterministic, in their time."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from corrector_file import write_corrector

from lowlat_nodes.control.contract import ObservationError
from lowlat_nodes.control.offline import OfflinePolicy, make_policy
from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import NO_FLOATS, Image, Joints, Text
from lowlat_nodes.stream.requester import RequestLate
from lowlat_nodes.stream.trace import Trace

MS = 1_000_000
START = 1_700_000_000_000_000_000


class Follower:
    """Moves by the mean brightness of the image, faster if the task says so."""

    spec = PolicySpec(("a",), ("position",), {"eye": ImageSpec(6, 8)}, True, 16, 20 * MS, (False,))

    def infer(self, observation: Observation) -> np.ndarray:
        rate = observation.images["eye"].mean() / 255 * (2.0 if observation.task == "hurry" else 1.0)
        return observation.state[0] + rate * 0.02 * np.arange(1, 17, dtype=float)[:, None]


def make_follower(_config: PolicyConfig) -> Follower:
    return Follower()


PARAMETERS: dict[str, Any] = {
    "tick_hz": 100.0,
    "start_on_activate": True,
    "policy.kind": "python",
    "policy.factory": f"{__name__}:make_follower",
    "policy.inference_delay_ms": 45.0,
    "execution.strategy": "vlash",
    "observation.joints.names": ["a"],
    "observation.camera.eye.topic": "image",
    "observation.camera.eye.width": 8,
    "observation.camera.eye.height": 6,
}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the factory be found by name however pytest imported this file."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())


def _this_module() -> Any:
    import types

    module = types.ModuleType(__name__)
    module.__dict__.update(globals())
    return module


def message(topic: str, payload: Any, at_ms: float, stamp_ms: float | None = None) -> Message:
    received_ns = START + round(at_ms * MS)
    capture_ns = received_ns if stamp_ms is None else START + round(stamp_ms * MS)
    return Message(topic, payload, Trace(capture_ns=capture_ns, received_ns=received_ns))


def recording(seconds: float = 1.0) -> list[Message]:
    messages = []
    for index in range(round(seconds * 100)):
        joints = Joints(("a",), np.array([0.001 * index]), NO_FLOATS, NO_FLOATS)
        messages.append(message("joint_states", joints, 10.0 * index + 1.3))
        if index % 3 == 0:
            data = np.full((6, 8, 3), 100 + index // 2, np.uint8)
            messages.append(message("image", Image(data, "rgb8"), 10.0 * index + 2.0))
    return messages


class Moody(Follower):
    """Fails at some requests, in two ways."""

    def infer(self, observation: Observation) -> np.ndarray:
        if observation.request % 5 == 3:
            raise RuntimeError("no mood")
        actions = super().infer(observation)
        return actions[:3] if observation.request % 5 == 4 else actions


def make_moody(_config: PolicyConfig) -> Moody:
    return Moody()


def play(messages: list[Message], **changes: Any) -> tuple[list[tuple[int, list[float]]], dict[str, int]]:
    processor = make_policy(PARAMETERS | changes)
    processor.open()
    results: list[Message] = []
    for item in messages:
        with contextlib.suppress(ObservationError, RuntimeError, ValueError):
            results.extend(processor.advance(item.trace.received_ns))
        with contextlib.suppress(ObservationError):
            processor.process(item)
    return [(r.trace.published_ns - START, r.payload.tolist()) for r in results], processor.counts()


def test_ticks_lie_on_the_grid_from_the_first_state_to_the_end() -> None:
    results, _ = play(recording())
    times = [time_ns for time_ns, _ in results]
    assert times == list(range(10 * MS, 1000 * MS, 10 * MS))


def test_the_same_messages_give_the_same_commands() -> None:
    assert play(recording()) == play(recording())


def test_trajectories_go_out_where_the_plan_changes() -> None:
    processor = make_policy(PARAMETERS | {"command.kind": "chunk"})
    processor.open()
    results: list[Message] = []
    for item in recording():
        results.extend(processor.advance(item.trace.received_ns))
        processor.process(item)
    assert 10 < len(results) < 30
    for result in results:
        assert result.payload.start_ns == result.trace.published_ns
        assert not result.payload.velocities[-1].any()


def test_an_inference_takes_its_configured_time() -> None:
    _, slow = play(recording(2.0))
    _, fast = play(recording(2.0), **{"policy.inference_delay_ms": 5.0})
    assert slow["inferences"] == pytest.approx(2000 / 50, abs=3)
    assert fast["inferences"] == pytest.approx(2000 / 10, abs=6)


def test_drawn_inference_times_are_those_of_the_requests() -> None:
    drawn = {"policy.inference_delay.distribution": "spikes", "policy.inference_delay.spike_share": 0.5}
    results, spiked = play(recording(2.0), **drawn)
    assert 2000 / 250 < spiked["inferences"] < 2000 / 60
    assert play(recording(2.0), **drawn) == (results, spiked)
    assert play(recording(2.0), **drawn, **{"policy.seed": 1})[0] != results


def test_a_new_task_drops_the_plan_and_counts() -> None:
    messages = [*recording(0.5), message("task", Text("hurry"), 500.0)]
    later = [m for m in recording(1.0) if m.trace.received_ns > START + 500 * MS]
    results, counts = play([*messages, *later])
    assert counts["chunks_superseded"] == 1
    speeds = {
        when: (dict(results)[(when + 40) * MS][0] - dict(results)[when * MS][0]) / 0.04 for when in (300, 900)
    }
    assert speeds[900] > 1.5 * speeds[300]


def test_old_images_start_no_inference() -> None:
    messages = [m for m in recording(2.0) if m.topic != "image" or m.trace.received_ns < START + 500 * MS]
    _, counts = play(messages)
    assert counts["failures_image_stale"] > 10


def test_an_image_that_does_not_fit_costs_no_command() -> None:
    messages = recording()
    bad = [
        Message(m.topic, Image(np.zeros((7, 8, 3), np.uint8), "rgb8"), m.trace) if m.topic == "image" else m
        for m in messages
    ]
    times = [[time_ns for time_ns, _ in play(played)[0]] for played in (messages, bad)]
    assert times[0] == times[1]


def test_a_policy_that_fails_is_asked_again() -> None:
    results, counts = play(recording(2.0), **{"policy.factory": f"{__name__}:make_moody"})
    assert len(results) == 199
    assert counts["failures_policy_error"] > 10
    assert counts["inferences"] > 15


def test_what_the_policy_raised_comes_after_the_ticks() -> None:
    processor = make_policy(PARAMETERS | {"policy.factory": f"{__name__}:make_moody"})
    processor.open()
    for item in recording(0.1):
        assert processor.process(item) == []
    results: list[Message] = []
    with pytest.raises((RuntimeError, ValueError), match=r"no mood|expected float64 actions"):
        results.extend(processor.advance(START + 1000 * MS))
    assert len(results) == 100


@pytest.mark.parametrize("jump_ms", [600_000.0, -600_000.0, -20.0])
def test_ticks_begin_anew_where_time_jumps(jump_ms: float) -> None:
    messages = recording(2.0)
    later = [
        message(m.topic, m.payload, (m.trace.received_ns - START) / MS + jump_ms)
        for m in messages
        if m.trace.received_ns >= START + 1000 * MS
    ]
    earlier = messages[: len(messages) - len(later)]
    results, counts = play([*earlier, *later])
    assert counts["clock_jumps"] == 1
    assert counts["inferences"] > 30
    times = [time_ns for time_ns, _ in results]
    first, last = (later[index].trace.received_ns - START for index in (0, -1))
    assert times[:99] == list(range(10 * MS, 1000 * MS, 10 * MS))
    assert times[99:] == list(range((first // (10 * MS) + 1) * 10 * MS, last, 10 * MS))


def test_a_pause_is_ticked_through() -> None:
    messages = [m for m in recording(2.0) if not START + 500 * MS < m.trace.received_ns < START + 1400 * MS]
    results, counts = play(messages)
    assert len(results) == 199
    assert "clock_jumps" not in counts


def test_stamps_of_another_clock_are_replaced_by_the_time_of_the_bag() -> None:
    def stamped(offset_ms: float | None) -> list[Message]:
        return [
            message(
                m.topic,
                m.payload,
                (m.trace.received_ns - START) / MS,
                None if offset_ms is None else (m.trace.received_ns - START) / MS - offset_ms,
            )
            for m in recording()
        ]

    assert play(stamped(3_600_000.0)) == play(stamped(None))


def corrected(path: Path, **file: Any) -> dict[str, Any]:
    """Return parameters with a corrector that only knows how old the plan is."""
    pytest.importorskip("onnx")
    metadata = {"joint_names": "a", "action_dt_ns": str(20 * MS)}
    model = write_corrector(path / "c.onnx", joints=1, metadata=metadata, **file)
    return {"execution.strategy": "a2c2", "corrector.model": str(model)}


def with_velocities(messages: list[Message]) -> list[Message]:
    return [
        Message(m.topic, dataclasses.replace(m.payload, velocity=np.zeros(1)), m.trace)
        if isinstance(m.payload, Joints)
        else m
        for m in messages
    ]


def test_each_tick_is_corrected_by_what_is_known_at_it(tmp_path: Path) -> None:
    played = with_velocities(recording())
    plain, _ = play(played, **corrected(tmp_path, image=None, gain=0.0))
    results, counts = play(played, **corrected(tmp_path, image=None, gain=0.01))
    first = next(index for index, (one, other) in enumerate(zip(plain, results, strict=True)) if one != other)
    assert counts["ticks_corrected"] == len(results) - first
    # The image is 8 to 38 ms old when the plan is made, which takes 50 ms, and the next one 50 ms more.
    ages = np.subtract([c for _, c in results[first:]], [c for _, c in plain[first:]]) / 0.01
    assert ages.min() >= 58 / 20 - 1e-4
    assert ages.max() <= 138 / 20 + 1e-4
    assert (results, counts) == play(played, **corrected(tmp_path, image=None, gain=0.01))


def test_a_corrector_without_a_fresh_image_is_counted(tmp_path: Path) -> None:
    messages = [m for m in recording(2.0) if m.topic != "image" or m.trace.received_ns < START + 500 * MS]
    changes = corrected(tmp_path, gain=0.01) | {"execution.rows": 16, "miss.policy": "hold"}
    _, counts = play(with_velocities(messages), **changes)
    assert counts["failures_corrector_image_stale"] > 0
    assert counts["ticks_corrected"] > 0


def test_velocities_that_only_the_corrector_needs_are_asked_for(tmp_path: Path) -> None:
    results, _ = play(recording(), **corrected(tmp_path, image=None))
    assert results == []


def test_inferences_may_overlap() -> None:
    changes = {"execution.strategy": "pipelined", "policy.workers": 2}
    _, counts = play(recording(2.0), **changes)
    # 45 ms are five ticks; the launches are half of that apart, in whole ticks.
    assert counts["inferences"] == pytest.approx(2000 / 30, abs=5)
    assert counts["chunks_scheduled"] > 50
    assert play(recording(2.0), **changes) == play(recording(2.0), **changes)


def test_an_abrupt_change_of_the_scene_starts_an_inference() -> None:
    messages = [
        Message(m.topic, Image(m.payload.data + np.uint8(60), "rgb8"), m.trace)
        if m.topic == "image" and m.trace.received_ns > START + 500 * MS
        else m
        for m in recording()
    ]
    watching = {"execution.launch": "just_in_time", "execution.change_threshold": 40.0}
    assert "scene_changes" not in play(recording(), **watching)[1]
    results, counts = play(messages, **watching)
    assert counts["scene_changes"] == 1
    unaware, _ = play(messages, **(watching | {"execution.change_threshold": 0.0}))
    first = next(one[0] for one, other in zip(results, unaware, strict=True) if one != other)
    assert 510 * MS < first < 620 * MS


def test_names_its_topics() -> None:
    processor = make_policy(PARAMETERS | {"command.topic": "arm/commands"})
    assert isinstance(processor, OfflinePolicy)
    assert processor.inputs == ("joint_states", "image", "task")
    assert processor.outputs == ("arm/commands",)


def test_typos_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean 'execution\.strategy'"):
        make_policy(PARAMETERS | {"execution.strateg": "sync"})
    with pytest.raises(ConfigurationError, match="did you mean 'tick_hz'"):
        make_policy(PARAMETERS | {"tick_hs": 50.0})


def test_a_server_that_is_late_is_counted_and_let_go_of_at_the_end() -> None:
    class Late:
        closed = False

        def describe(self) -> dict[str, Any]:
            return {"lowlat": {"spec": Follower.spec.to_plain(), "keys": []}}

        def request(self, _observation: Any, **_: Any) -> dict[str, Any]:
            raise RequestLate("no answer")

        def close(self) -> None:
            self.closed = True

    server = {"policy.kind": "remote", "policy.remote.address": "somewhere"}
    late = Late()
    processor = make_policy(PARAMETERS | server, lambda *_, **__: late)
    processor.open()
    for item in recording():
        list(processor.advance(item.trace.received_ns))
        processor.process(item)
    assert processor.counts()["failures_late"] > 0
    assert not late.closed
    processor.close()
    assert late.closed


class Continuing(Follower):
    """Answers with the plan that it is shown, and remembers what it was."""

    spec = dataclasses.replace(Follower.spec, accepts=("delay", "prefix"))
    seen: ClassVar[list[Observation]] = []

    def infer(self, observation: Observation) -> np.ndarray:
        self.seen.append(observation)
        actions = super().infer(observation)
        if observation.decided is not None:
            actions[: len(observation.decided)] = observation.decided
        return actions


def make_continuing(_config: PolicyConfig) -> Continuing:
    Continuing.seen.clear()
    return Continuing()


def test_the_plan_and_the_delay_are_shown_as_on_a_robot() -> None:
    continuing = {
        "policy.factory": f"{__name__}:make_continuing",
        "execution.strategy": "rtc_trained",
    }
    first, counts = play(recording(2.0), **continuing)
    assert counts["chunks_aligned"] > 20
    later = Continuing.seen[2:]
    assert all(
        seen.decided is not None and seen.committed == 3 for seen in later
    )  # 5 ticks and one of margin
    # Images come every 30 ms; the chunk begins at the launch.
    assert {0.0 <= seen.delay_rows <= 1.6 for seen in later} == {True}
    assert play(recording(2.0), **continuing)[0] == first
