# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node without processes: the same control loop, in the time of the messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowlat_nodes.control.alignment import stamp_of
from lowlat_nodes.control.change import ChangeDetector
from lowlat_nodes.control.commands import Commands
from lowlat_nodes.control.config import ControlConfig, build_loop
from lowlat_nodes.control.contract import Contract
from lowlat_nodes.control.loop import Launch
from lowlat_nodes.control.observer import NoObservation, Observer
from lowlat_nodes.control.policies.lerobot import LerobotPolicy
from lowlat_nodes.control.policies.load import load_policy
from lowlat_nodes.control.policies.policy import Policy, infer
from lowlat_nodes.control.policies.remote import RemotePolicy
from lowlat_nodes.control.residual import ResidualHead
from lowlat_nodes.stream.config import build, flatten
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Floats, Joints, Text
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.requester import Connect, RequestError, Spawn
from lowlat_nodes.stream.trace import Trace

_JUMP_NS = 1_000_000_000
_OF_A_RUNNING_NODE = frozenset(
    {"autostart", "diagnostic_updater", "qos_overrides", "realtime", "start_on_activate", "use_sim_time"}
)


class OfflinePolicy(Processor):
    """Turns recorded joint states, images and tasks into the commands that the policy would have sent.

    Ticks lie on the grid of the period in message time, and an inference takes exactly what
    `policy.inference_delay_ms` and `policy.inference_delay` say of it (rounded up to a tick), so the outputs
    depend on the messages alone.
    A correction takes no time: it is made at its tick, from the newest state and images.
    A recorded robot does not follow the commands: this shows what a policy says, not how it would fare.

    Args:
        config: The parameters of policy execution.
        connect: Makes the connection to a policy server, for policies of kind remote.
        spawn: Starts the process of a checkpoint, for policies of kind lerobot.
    """

    def __init__(
        self, config: ControlConfig, connect: Connect | None = None, spawn: Spawn | None = None
    ) -> None:
        observation = config.observation
        self.inputs = (
            observation.joints.topic,
            *(camera.topic for camera in observation.camera.values()),
            observation.task.topic,
        )
        self.outputs = (config.command.topic,)
        self._config = config
        self._connect, self._spawn = connect, spawn
        self._cameras = {camera.topic: name for name, camera in observation.camera.items()}
        self._tick_ns = config.tick_ns
        self._latency = config.policy.latency
        self._task = observation.task.text
        self._policy: Policy | None = None
        self._now_ns: int | None = None
        self._due_ns: int | None = None
        self._answers: list[tuple[int, int, Floats | str, int]] = []  # when, request, what, image
        self._error: Exception | None = None
        self._detectors: dict[str, ChangeDetector] = {}

    def open(self) -> None:
        """Load the policy and compare it with the contracts."""
        config = self._config
        self._policy = load_policy(config.policy, self._connect, self._spawn)
        spec = self._policy.spec
        self._head = ResidualHead(config, spec) if config.corrector.model else None
        self._contract = Contract(
            config.observation,
            config.command,
            spec,
            self._head.state_fields if self._head is not None else (),
        )
        self._observer = Observer(config.observation, self._contract)
        self._loop = build_loop(config, spec)
        self._commands = Commands(config.command, config.observation.joints.names, tick_ns=self._tick_ns)
        threshold = config.execution.change_threshold
        if threshold:
            self._detectors = {name: ChangeDetector(threshold) for name in config.observation.camera}
        self._loop.start()

    def close(self) -> None:
        """Let go of the policy: of its server, or its process."""
        policy, self._policy = self._policy, None
        if isinstance(policy, RemotePolicy | LerobotPolicy):
            policy.close()

    def process(self, message: Message) -> Sequence[Message]:
        """Take a message in; the commands come from `advance`.

        Raises:
            ObservationError: If the message does not fit the contract.
        """
        now_ns, stamp_ns = message.trace.received_ns, stamp_of(message.trace)
        if message.topic in self._cameras:
            camera = self._cameras[message.topic]
            if camera in self._detectors and self._detectors[camera].see(message.payload):
                self._loop.note_change()
            self._observer.see(camera, message.payload, stamp_ns)
            if self._head is not None and camera in self._head.cameras:
                self._head.see(camera, message.payload, stamp_ns)
        elif isinstance(message.payload, Joints):
            state = self._contract.state(message.payload, min(stamp_ns, now_ns))
            self._loop.observe(state)
            self._observer.remember([state])
            if self._due_ns is None:
                self._due_ns = (now_ns // self._tick_ns + 1) * self._tick_ns
        elif isinstance(message.payload, Text) and message.payload.data != self._task:
            self._task = message.payload.data
            self._loop.restart_plan()
        return []

    def advance(self, now_ns: int) -> Iterator[Message]:
        """Give the commands of the ticks up to now; none where time leapt by over a second, or went back.

        Raises:
            Exception: What the policy raised last in one of them, after all of them.
        """
        if self._now_ns is not None and not 0 <= now_ns - self._now_ns <= _JUMP_NS:
            self._begin_anew()
        self._now_ns = now_ns
        while self._due_ns is not None and self._due_ns <= now_ns:
            due_ns = self._due_ns
            self._due_ns += self._tick_ns
            self._deliver(due_ns)
            self._correct(due_ns)
            tick = self._loop.tick(due_ns)
            if tick is None:
                continue
            payload = self._commands.payload(tick, due_ns)
            if payload is not None:
                yield Message(self.outputs[0], payload, Trace(capture_ns=due_ns, published_ns=due_ns))
            launch = self._loop.launch(due_ns)
            if launch is not None:
                self._infer(launch)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def counts(self) -> dict[str, int]:
        """Return what the control loop counted."""
        return self._loop.counters.snapshot()

    def _begin_anew(self) -> None:
        """Do as a node does under simulated time: drop the plan, and tick on from the next joint state."""
        self._loop.counters.add("clock_jumps")
        self._loop.reset()
        self._due_ns = None
        for _, request, _, _ in self._answers:
            self._loop.fail(request, "clock_jump")
        self._answers.clear()

    def _infer(self, launch: Launch) -> None:
        """Run the policy now; its answer counts once the configured delay has passed."""
        assert self._policy is not None
        answer: Floats | str
        image_ns = 0
        try:
            observation, image_ns = self._observer.observe(
                launch.state,
                request=launch.request,
                task=self._task,
                launched_ns=launch.launched_ns,
                align=self._config.observation.align == "image",
                start_ns=launch.start_ns,
                decided=launch.decided,
                committed=launch.committed,
            )
            answer = self._contract.targets(infer(self._policy, observation))
        except (NoObservation, RequestError) as error:
            answer = error.reason
        except Exception as error:  # a policy is foreign code: as on a robot, the ticks go on
            answer, self._error = "policy_error", error
        takes_ns = 0 if isinstance(answer, str) else self._latency.draw_ns(launch.request)
        ready_ns = launch.launched_ns + takes_ns
        self._answers.append((ready_ns, launch.request, answer, image_ns))

    def _correct(self, now_ns: int) -> None:
        """Correct what the plan says about a tick by what is known at it."""
        outlook = None if self._head is None else self._loop.outlook(now_ns, self._head.rows)
        if self._head is None or outlook is None:
            return
        try:
            values, _ = self._head.correct(outlook, task=self._task, now_ns=now_ns)
        except NoObservation as error:
            self._loop.counters.add(f"failures_corrector_{error.reason}")
            return
        self._loop.correct(values, outlook)

    def _deliver(self, now_ns: int) -> None:
        due = [each for each in self._answers if each[0] <= now_ns]
        self._answers = [each for each in self._answers if each[0] > now_ns]
        for _, request, answer, image_ns in due:
            if isinstance(answer, str):
                self._loop.fail(request, answer)
            else:
                self._loop.deliver(request, answer, image_ns, now_ns)


def make_policy(
    parameters: Mapping[str, Any], connect: Connect | None = None, spawn: Spawn | None = None
) -> OfflinePolicy:
    """Make the `policy` processor of `lowlat replay` from the parameters of a policy node.

    Args:
        parameters: Flat or nested.
        connect: Makes the connection to a policy server.
        spawn: Starts the process of a checkpoint.

    Raises:
        ConfigurationError: If they do not fit; those that only concern a running node are left out.
    """
    return OfflinePolicy(offline_config(parameters), connect, spawn)


def offline_config(parameters: Mapping[str, Any]) -> ControlConfig:
    """Return what the parameters of a policy node say about control, flat or nested.

    Raises:
        ConfigurationError: If they do not fit; those that only concern a running node are left out.
    """
    flat = flatten(parameters)
    ours = {name: value for name, value in flat.items() if name.partition(".")[0] not in _OF_A_RUNNING_NODE}
    return build(ControlConfig, ours)
