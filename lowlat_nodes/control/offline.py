# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node without processes: the same control loop, in the time of the messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lowlat_nodes.control.commands import Commands
from lowlat_nodes.control.config import ControlConfig, build_loop
from lowlat_nodes.control.contract import Contract
from lowlat_nodes.control.loop import Launch
from lowlat_nodes.control.observer import NoObservation, Observer
from lowlat_nodes.control.policies.load import load_policy
from lowlat_nodes.stream.config import build, flatten
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Floats, Joints, Text
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.requester import Connect, RequestError
from lowlat_nodes.stream.trace import Trace

_SAME_CLOCK_NS = 10_000_000_000
_OF_A_RUNNING_NODE = frozenset(
    {"autostart", "diagnostic_updater", "qos_overrides", "realtime", "start_on_activate", "use_sim_time"}
)


class OfflinePolicy(Processor):
    """Turns recorded joint states, images and tasks into the commands that the policy would have sent.

    Ticks lie on the grid of the period in message time, and an inference takes exactly
    `policy.inference_delay_ms` of it (rounded up to a tick), so the outputs depend on the messages alone.
    A recorded robot does not follow the commands: this shows what a policy says, not how it would fare.

    Args:
        config: The parameters of policy execution.
        connect: Makes the connection to a policy server, for policies of kind remote.
    """

    def __init__(self, config: ControlConfig, connect: Connect | None = None) -> None:
        observation = config.observation
        self.inputs = (
            observation.joints.topic,
            *(camera.topic for camera in observation.camera.values()),
            observation.task.topic,
        )
        self.outputs = (config.command.topic,)
        self._config = config
        self._connect = connect
        self._cameras = {camera.topic: name for name, camera in observation.camera.items()}
        self._tick_ns = config.tick_ns
        self._inference_ns = round(config.policy.inference_delay_ms * 1e6)
        self._image_timeout_ns = round(observation.image_timeout_ms * 1e6)
        self._task = observation.task.text
        self._due_ns: int | None = None
        self._answer: tuple[int, int, Floats | str, int] | None = None

    def open(self) -> None:
        """Load the policy and compare it with the contracts."""
        config = self._config
        self._policy = load_policy(config.policy, self._connect)
        self._contract = Contract(config.observation, config.command, self._policy.spec)
        self._observer = Observer(config.observation, self._contract)
        self._loop = build_loop(config, self._policy.spec)
        self._commands = Commands(
            config.command, config.observation.joints.names, self._loop, tick_ns=self._tick_ns
        )
        self._loop.start()

    def process(self, message: Message) -> Sequence[Message]:
        """Tick up to the time of the message, then take it in; return the commands of those ticks.

        Raises:
            ObservationError: If the message does not fit the contract.
        """
        now_ns = message.trace.received_ns
        results = self._tick_until(now_ns)
        stamp_ns = message.trace.capture_ns
        if not stamp_ns or abs(now_ns - stamp_ns) > _SAME_CLOCK_NS:  # stamped by another clock than the bag's
            stamp_ns = now_ns
        if message.topic in self._cameras:
            self._observer.see(self._cameras[message.topic], message.payload, stamp_ns)
        elif isinstance(message.payload, Joints):
            state = self._contract.state(message.payload, min(stamp_ns, now_ns))
            self._loop.observe(state)
            self._observer.remember([state])
            if self._due_ns is None:
                self._due_ns = (now_ns // self._tick_ns + 1) * self._tick_ns
        elif isinstance(message.payload, Text) and message.payload.data != self._task:
            self._task = message.payload.data
            self._loop.restart_plan()
        return results

    def finish(self, end_ns: int) -> Sequence[Message]:
        """Return the commands of the ticks up to the end."""
        return self._tick_until(end_ns)

    def counts(self) -> dict[str, int]:
        """Return what the control loop counted."""
        return self._loop.counters.snapshot()

    def _tick_until(self, now_ns: int) -> list[Message]:
        results: list[Message] = []
        while self._due_ns is not None and self._due_ns <= now_ns:
            due_ns = self._due_ns
            self._due_ns += self._tick_ns
            self._deliver(due_ns)
            tick = self._loop.tick(due_ns)
            assert tick is not None
            payload = self._commands.payload(tick, due_ns, due_ns)
            if payload is not None:
                trace = Trace(capture_ns=due_ns, published_ns=due_ns)
                results.append(Message(self.outputs[0], payload, trace))
            launch = self._loop.launch(due_ns)
            if launch is not None:
                self._infer(launch)
        return results

    def _infer(self, launch: Launch) -> None:
        """Run the policy now; its answer counts once the configured delay has passed."""
        answer: Floats | str
        image_ns = 0
        try:
            observation, image_ns = self._observer.observe(
                launch.state,
                request=launch.request,
                task=self._task,
                not_before_ns=launch.launched_ns - self._image_timeout_ns,
                align=self._config.observation.align == "image" and not launch.intent.project,
            )
            answer = self._contract.targets(self._policy.infer(observation))
        except (NoObservation, RequestError) as error:
            answer = error.reason
        ready_ns = launch.launched_ns + (0 if isinstance(answer, str) else self._inference_ns)
        self._answer = (ready_ns, launch.request, answer, image_ns)

    def _deliver(self, now_ns: int) -> None:
        if self._answer is None or self._answer[0] > now_ns:
            return
        _, request, answer, image_ns = self._answer
        self._answer = None
        if isinstance(answer, str):
            self._loop.fail(request, answer)
        else:
            self._loop.deliver(request, answer, image_ns, now_ns)


def make_policy(parameters: Mapping[str, Any], connect: Connect | None = None) -> OfflinePolicy:
    """Make the `policy` processor of `lowlat replay` from the parameters of a policy node.

    Args:
        parameters: Flat or nested.
        connect: Makes the connection to a policy server.

    Raises:
        ConfigurationError: If they do not fit; those that only concern a running node are left out.
    """
    flat = flatten(parameters)
    ours = {name: value for name, value in flat.items() if name.partition(".")[0] not in _OF_A_RUNNING_NODE}
    return OfflinePolicy(build(ControlConfig, ours), connect)
