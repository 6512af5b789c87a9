# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations out of recorded messages: what a policy would have seen, and what was commanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.alignment import stamp_of
from lowlat_nodes.control.commanded import Commanded
from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import CameraConfig, Contract, ObservationError
from lowlat_nodes.control.observer import NoObservation, Observer
from lowlat_nodes.control.policies.policy import ImageSpec, PolicySpec
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Floats

_S = 1_000_000_000
_NO_OBSERVATION = {
    "no_image": "no image of a camera",
    "image_stale": "images older than observation.image_timeout_ms",
}


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One instant of a demonstration, in the policy's units, not normalised.

    Attributes:
        instant_ns: The instant.
        first: Whether an episode begins with it; otherwise it is one period after the step before.
        state: float32 [fields * joints].
        images: uint8 [height, width, 3], rgb, by camera; the same object while no newer image has come.
        task: What to do.
        action: float32 [joints], absolute: what was commanded at the instant.
    """

    instant_ns: int
    first: bool
    state: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]]
    task: str
    action: NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How demonstrations are cut out of a stream of messages.

    Attributes:
        fps: Steps per second.
        velocities: Whether the state has joint velocities, after the positions.
        command_timeout_ns: How long after the last command the robot counts as commanded.
        min_steps: Episodes of fewer steps are left out.
        split_tasks: Whether an episode ends where the task changes.
    """

    fps: int = 30
    velocities: bool = False
    command_timeout_ns: int = 500_000_000
    min_steps: int = 1
    split_tasks: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 1000 or self.min_steps < 1:
            raise ConfigurationError(
                f"expected 1 to 1000 fps and at least one step, got {self.fps} and {self.min_steps}"
            )


class Sampler:
    """Shows messages, in the order of their receipt, to the contract of a policy node, on a fixed grid.

    The grid has an instant at each whole second and fps in every one. The observation of an instant is what
    the node would show its policy then: of each stream the newest message received by then, no older than
    the contract's timeouts. Nothing that came later is in it. The action is the command in force at the
    instant, so that a policy which repeats the actions, one per period, repeats the recorded commands.

    Where something is missing or too old the episode ends; the next begins when all is there again.
    Normalisation by `state_mean` and the like is left to whoever trains on the steps.

    Args:
        config: The parameters of the node.
        sampling: Grid and episodes.

    Attributes:
        inputs: The topics, as the parameters name them.
        contract: Translates between messages and steps.
        cameras: The cameras, by the name of their images.
        left_out: Messages that did not fit the contract, by stream.
        refusals: Why the newest of these was left out, by stream.
        cuts: Why episodes ended.
        short: Episodes that were left out because they were too short.
        waiting_for: Why there is no step at present; empty while there is one.
    """

    def __init__(self, config: ControlConfig, sampling: Sampling | None = None) -> None:
        self._sampling = sampling = sampling or Sampling()
        self.cameras = {
            name: replace(camera, feature=name) for name, camera in _named(config.observation.camera)
        }
        observation = replace(config.observation, camera=self.cameras, state_mean=(), state_std=())
        command = replace(config.command, action_mean=(), action_std=())
        self._names = names = observation.joints.names
        spec = PolicySpec(
            joints=names,
            state_fields=("position", "velocity") if sampling.velocities else ("position",),
            images={name: ImageSpec(item.height, item.width) for name, item in self.cameras.items()},
            takes_task=True,
            horizon=1,
            action_period_ns=_S // sampling.fps,
            delta=(False,) * len(names),
        )
        self.contract = Contract(observation, command, spec)
        self._camera_of = {camera.topic: name for name, camera in self.cameras.items()}
        self._observation = observation
        self._command_topic = command.topic
        self.inputs = (
            observation.joints.topic,
            *self._camera_of,
            observation.task.topic,
            command.topic,
        )
        self._state_timeout_ns = round(observation.joints.timeout_ms * 1e6)
        self.left_out = Counters()
        self.refusals: dict[str, str] = {}
        self.cuts = Counters()
        self.short = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all messages, as at the start of another recording."""
        self._observer = Observer(self._observation, self.contract)
        self._commanded = Commanded(self._names)
        self._state: RobotState | None = None
        self._task = self._observation.task.text
        self._due: int | None = None
        self._now_ns = 0
        self._held: list[Step] = []
        self._in_episode = False
        self._last_task = ""
        self.waiting_for = "messages"

    def take(self, message: Message) -> Iterator[Step]:
        """Yield the steps of the instants before a message's receipt, then take the message in."""
        now_ns = message.trace.received_ns
        yield from self._until(now_ns)
        self._now_ns = now_ns
        try:
            self._see(message, now_ns)
        except ObservationError as error:
            stream = self._camera_of.get(message.topic, message.topic)
            self.left_out.add(stream)
            self.refusals[stream] = str(error)

    def finish(self) -> Iterator[Step]:
        """Yield the steps up to the last message's receipt, and end the episode."""
        yield from self._until(self._now_ns + 1)
        self._end("")

    def _see(self, message: Message, now_ns: int) -> None:
        stamp_ns = stamp_of(message.trace)
        if message.topic in self._camera_of:
            self._observer.see(self._camera_of[message.topic], message.payload, stamp_ns)
        elif message.topic == self._observation.joints.topic:
            state = self.contract.state(message.payload, min(stamp_ns, now_ns))
            if not (np.isfinite(state.position).all() and np.isfinite(state.velocity).all()):
                raise ObservationError(f"expected finite joint states, got {state.position.tolist()}")
            self._state = state
            self._observer.remember([state])
        elif message.topic == self._command_topic:
            self._commanded.take(message.payload, now_ns)
        else:
            self._task = message.payload.data

    def _until(self, end_ns: int) -> Iterator[Step]:
        """Yield the steps of the instants before one."""
        fps = self._sampling.fps
        if self._due is None:
            self._due = _number(end_ns, fps)
        while (instant_ns := self._due * _S // fps) < end_ns:
            step = self._step(instant_ns)
            if step is None:  # nothing new comes before the next message
                self._due = _number(end_ns, fps)
                return
            self._due += 1
            yield from self._release(step)

    def _step(self, instant_ns: int) -> Step | None:
        """Return the step of an instant, or end the episode."""
        state, commanded = self._state, self._commanded.at(instant_ns)
        if state is None:
            self._end("no joint state")
        elif instant_ns - state.stamp_ns > self._state_timeout_ns:
            self._end("joint states older than observation.joints.timeout_ms")
        elif commanded is None:
            self._end("no command")
        elif commanded[1] > self._sampling.command_timeout_ns:
            self._end("no new command within the command timeout")
        else:
            return self._shown(instant_ns, state, commanded[0])
        return None

    def _shown(self, instant_ns: int, state: RobotState, target: Floats) -> Step | None:
        """Return what the policy would see, or end the episode."""
        try:
            observation, _ = self._observer.observe(
                state,
                request=0,
                task=self._task,
                launched_ns=instant_ns,
                align=self._observation.align == "image",
            )
        except NoObservation as error:
            self._end(_NO_OBSERVATION[error.reason])
            return None
        if self._sampling.split_tasks and self._task != self._last_task:
            self._end("another task")
        action = self.contract.actions(target[None])[0].astype(np.float32)
        step = Step(
            instant_ns, not self._in_episode, observation.state, observation.images, self._task, action
        )
        self._in_episode, self._last_task, self.waiting_for = True, self._task, ""
        return step

    def _release(self, step: Step) -> Iterator[Step]:
        """Yield the steps of an episode once it is long enough."""
        if step.first:
            self._held = []
        if not step.first and not self._held:
            yield step
            return
        self._held.append(step)
        if len(self._held) >= self._sampling.min_steps:
            held, self._held = self._held, []
            yield from held

    def _end(self, reason: str) -> None:
        self.waiting_for = reason or self.waiting_for
        if not self._in_episode:
            return
        self._in_episode = False
        if self._held:
            self._held = []
            self.short += 1
        if reason:
            self.cuts.add(reason)


def _number(instant_ns: int, fps: int) -> int:
    """Return the number of the first instant of the grid that is not before an instant."""
    return -(-instant_ns * fps // _S)


def _named(cameras: Mapping[str, CameraConfig]) -> Iterator[tuple[str, CameraConfig]]:
    """Yield each camera with the name of its images: its group's, unless its feature has one of LeRobot's."""
    prefix = "observation.images."
    for name, camera in cameras.items():
        feature = camera.feature
        yield feature.removeprefix(prefix) if feature.startswith(prefix) else name, camera
