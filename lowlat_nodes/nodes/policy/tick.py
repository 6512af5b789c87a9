# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The tick process of the policy node: absolute deadlines, a command at each of them.

It takes joint states from the middleware itself, asks `control.loop` what to do, publishes, and only then
talks to the other processes. Nothing it calls waits: neither inference, nor logging, nor the garbage
collector, nor a slow subscriber can hold it up. If the policy node dies or anything here fails, it brakes the
robot to a stand and ends.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from lowlat_nodes.control.commands import Commands
from lowlat_nodes.control.config import ControlConfig, build_loop
from lowlat_nodes.control.contract import Contract, ObservationError
from lowlat_nodes.control.follower import Tick
from lowlat_nodes.control.loop import Launch, Outlook
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.auto import Auto
from lowlat_nodes.nodes.bag.timeline import SimulatedTimeline, SteadyTimeline, Timeline
from lowlat_nodes.nodes.child import channel_from_parent
from lowlat_nodes.nodes.counting import CHUNK, open_counts
from lowlat_nodes.nodes.policy.commands import CommandPublisher
from lowlat_nodes.nodes.policy.figures import Figures
from lowlat_nodes.nodes.policy.messages import HISTORY_ROOM, brief, floats, pack, unpack
from lowlat_nodes.nodes.policy.standby import Standby
from lowlat_nodes.nodes.realtime import RealtimeConfig, apply
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.channel import Channel, ChannelClosedError
from lowlat_nodes.transport.ros.polled import PolledSubscription
from lowlat_nodes.transport.ros.process import prepare_control_process
from lowlat_nodes.transport.ros.topics import Input

_STATUS_NS = 200_000_000
_COLLECT_NS = 1_000_000_000
_COLLECT_TAKES_NS = 1_000_000
_BRAKE_SLACK_S = 1.0
_LONGEST_BRAKE_S = 7.0  # launchers kill a node 10 s after they asked it to end
_STANDSTILL_NS = 1_000_000_000  # of simulated time
_CONFIRM_S = 1.0
_IDLE_S = 0.05
_STANDBY_SHARE = 4  # of a period: later than a tick in time ever is, early enough to be in time as well
_RETRY_NS = 20_000_000  # after an inference that failed, which may have taken no time at all
_FUTURE_NS = 20_000_000  # a stamp this far ahead of the clock means that two clocks disagree


@dataclass(slots=True)
class _Worker:
    """A process that holds the policy.

    Attributes:
        channel: To it.
        unsent_states: Stamps, positions and velocities of the joints, for policies that see those of an
            image's time.
        request: What it is thinking about, None while it is idle.
        asked_ns: Steady time of that request.
    """

    channel: Channel
    unsent_states: deque[tuple[int, bytes, bytes]]
    request: int | None = None
    asked_ns: int = 0


class PolicyTick:
    """Runs the control loop of one policy node.

    Args:
        node: The channel to the policy node.
        setup: Content of its `setup` message.
    """

    def __init__(self, node: Channel, setup: dict[str, Any]) -> None:
        self._node = node
        self._counts = open_counts(setup["counted"], CHUNK)  # of none, but its time is the node's
        self._workers: dict[int, _Worker] = {}  # by number
        self._corrector: Channel | None = None
        self._cameras: Channel | None = None  # tell of abrupt changes
        self._rows: int = setup["rows"]  # of the plan, for the corrector
        self._config = build(ControlConfig, setup["config"])
        spec = PolicySpec.from_plain(setup["spec"])
        self._contract = Contract(self._config.observation, self._config.command, spec, setup["state_fields"])
        self._loop = build_loop(self._config, spec)
        self._columns = len(spec.delta)
        self._accepts = frozenset(spec.accepts)
        self._align = self._config.observation.align == "image"
        self._task = self._config.observation.task.text
        self._steps = 0  # of a chunk; as many as the policy makes by itself
        self._ros = rclpy.create_node(
            setup["name"],
            namespace=setup["namespace"],
            parameter_overrides=[Parameter(name, value=value) for name, value in setup["qos"].items()],
            automatically_declare_parameters_from_overrides=True,
            start_parameter_services=False,
            enable_rosout=False,
        )
        joints = self._config.observation.joints
        self._joint_states = PolledSubscription(
            self._ros,
            Input(
                topic=setup["joint_topic"],
                type_name="sensor_msgs/msg/JointState",
                reliability=joints.reliability,
            ),
        )
        self._reader = cdr.JointStateReader()
        command = self._config.command
        self._commands = Commands(command, joints.names, tick_ns=self._config.tick_ns)
        self._publisher = CommandPublisher(self._ros, setup["command_topic"], command.kind, joints.names)
        self._timeline: Timeline = SimulatedTimeline(self._ros) if setup["use_sim_time"] else SteadyTimeline()
        self._active = False
        self._activation = 0  # the number of the newest one
        self._limited = self._loop.limit_counts()  # before it
        # Newest states for a worker; they share a message with a launch.
        self._kept_states = min(256, HISTORY_ROOM // (16 * self._columns + 32))
        self._tick: Tick | None = None
        self._refusal = ""
        self._figures = Figures(corrected=bool(self._config.corrector.model))
        self._retry_ns = 0  # no launch before this steady time
        # What the corrector was asked about, as long as a correction counts.
        kept = 2 + round(self._config.corrector.timeout_ms * 1e6) // self._config.tick_ns
        self._outlooks: deque[Outlook] = deque(maxlen=kept)
        self._unanswered_ns = 0  # steady time of the oldest question since its last answer
        self._ticks = Standby(self._serve)
        self._unserved_ns = 0  # the oldest deadline without a command
        self._granted = self._become_realtime(build(RealtimeConfig, setup["realtime"]))
        self._next_status_ns = 0
        self._next_collect_ns = 0
        node.send(pack("ready", sched=self._granted))

    def _become_realtime(self, config: RealtimeConfig) -> str:
        """Ask for real-time scheduling and start the standby; return what was granted."""
        granted = apply(config)
        realtime = os.sched_getscheduler(0) == os.SCHED_FIFO and isinstance(self._timeline, SteadyTimeline)
        if config.standby and realtime and self._ticks.start(after_ns=self._config.tick_ns // _STANDBY_SHARE):
            granted += ", standby"
        return granted

    def run(self) -> None:
        """Serve until the policy node goes away or anything fails, and bring the robot to a stand first."""
        try:
            while True:
                self._hear_node()
                if self._active:
                    self._tick_until_inactive()
                else:  # answers that come after the end
                    self._hear_workers(self._timeline.now_ns())
                    self._hear_corrector(self._timeline.now_ns())
                    self._report(time.monotonic_ns())
                    self._node.wait(_IDLE_S)
        except BaseException:
            if self._active:
                self._brake()
            self._publisher.confirm(_CONFIRM_S)
            raise

    def _tick_until_inactive(self) -> None:
        """Tick on the grid of the timeline, until the end by order or by an error."""
        self._ticks.deadline_ns = self._unserved_ns = self._timeline.next_tick(self._config.tick_ns)
        self._ticks.watch(True)
        try:
            self._tick_on()
        finally:
            self._ticks.watch(False)

    def _tick_on(self) -> None:
        timeline, ticks, tick_ns = self._timeline, self._ticks, self._config.tick_ns
        while self._active:
            deadline_ns = ticks.deadline_ns
            if timeline.wait(deadline_ns):
                ticks.serve(deadline_ns)
                continue
            # Simulated time stands still or jumped.
            self._hear_workers(deadline_ns)
            self._hear_corrector(deadline_ns)
            self._hear_node()
            self._report(time.monotonic_ns())
            if timeline.jumped:
                self._loop.counters.add("clock_jumps")
                self._loop.reset()
            ticks.deadline_ns = self._unserved_ns = timeline.next_tick(tick_ns)

    def _serve(self, deadline_ns: int) -> None:
        """Tick once, and then do what may wait.

        A stall is a deadline without a command within one period after it. A tick serves the newest deadline
        that has come; those that were slept through are not made up for.
        """
        timeline, loop, tick_ns = self._timeline, self._loop, self._config.tick_ns
        late_ns = timeline.late_ns(deadline_ns)
        now_ns = deadline_ns + late_ns // tick_ns * tick_ns
        next_ns = self._ticks.deadline_ns = now_ns + tick_ns
        self._figures.tick_late.record(late_ns)
        if self._command(now_ns):
            self._figures.publish_late.record(timeline.late_ns(deadline_ns))
            stalls = (timeline.late_ns(self._unserved_ns) - 1) // tick_ns
            if stalls > 0:
                loop.counters.add("stalls", stalls)
                self._unserved_ns += stalls * tick_ns
            self._ask_corrector(now_ns)
            self._launch(now_ns)
        self._unserved_ns = max(self._unserved_ns, next_ns)
        self._slack(next_ns)

    def _command(self, now_ns: int) -> bool:
        """Newest state in, command out; false while no state was seen."""
        self._take_joint_states()
        self._hear_workers(now_ns)
        self._hear_corrector(now_ns)
        self._hear_cameras()
        self._tick = self._loop.tick(now_ns)
        if self._tick is None:
            return False
        self._send(self._tick, now_ns)
        return True

    def _launch(self, now_ns: int) -> None:
        """Ask the policy if it is time to, and note the ages of what was used."""
        idle = next((number for number, worker in self._workers.items() if worker.request is None), None)
        ready = idle is not None and time.monotonic_ns() >= self._retry_ns
        launch = self._loop.launch(now_ns, ready=ready)
        if launch is not None and idle is not None:
            self._ask(launch, idle)
        tick, state = self._tick, self._loop.state
        assert tick is not None
        assert state is not None
        self._figures.state_age.record(now_ns - state.stamp_ns)
        if tick.swapped is not None and tick.swapped.observed_ns:
            self._figures.record_takeover(now_ns - tick.swapped.observed_ns)

    def _send(self, tick: Tick, now_ns: int) -> None:
        payload = self._commands.payload(tick, self._timeline.ros_ns(now_ns))
        if payload is not None:
            self._publisher.publish(payload)

    def _take_joint_states(self) -> None:
        taken = self._joint_states.take()
        if taken is None:
            return
        try:
            decoded = self._reader.read(taken.data)
            stamp_ns = decoded.stamp_ns or taken.sent_ns
            state = self._contract.state(decoded.payload, stamp_ns)
        except (cdr.CdrError, ObservationError) as error:
            self._loop.counters.add("states_refused")
            self._refusal = brief(f"joint states: {error}")
            return
        local_ns = self._timeline.from_ros(stamp_ns)
        now_ns = self._timeline.now_ns()
        if local_ns > now_ns + _FUTURE_NS:
            self._loop.counters.add("state_stamps_ahead")
            local_ns = now_ns
        self._loop.observe(RobotState(min(local_ns, now_ns), state.position, state.velocity))
        if self._align:
            for worker in self._workers.values():
                worker.unsent_states.append((stamp_ns, state.position.tobytes(), state.velocity.tobytes()))

    def _ask(self, launch: Launch, number: int) -> None:
        """Send a launch to a worker; one that cannot be sent has failed."""
        worker, state = self._workers[number], launch.state
        launched_ns = self._timeline.ros_ns(launch.launched_ns)
        conditions: dict[str, Any] = {}
        if self._steps:
            conditions["steps"] = self._steps
        if "delay" in self._accepts:
            conditions["start_ns"] = launched_ns + launch.start_ns - launch.launched_ns
        if len(launch.decided):
            conditions |= {"decided": launch.decided.tobytes(), "committed": launch.committed}
        content = pack(
            "launch",
            request=launch.request,
            position=state.position.tobytes(),
            velocity=state.velocity.tobytes(),
            launched_ns=launched_ns,
            task=self._task,
            align=self._align,
            history=list(worker.unsent_states),
            **conditions,
        )
        worker.unsent_states.clear()
        worker.request, worker.asked_ns = launch.request, time.monotonic_ns()
        try:
            if not worker.channel.send(content):
                worker.request = None
                self._loop.fail(launch.request, "worker_busy")
        except ChannelClosedError:
            self._lose_worker(number)

    def _hear_workers(self, now_ns: int) -> None:
        """Take in what the workers have answered by now."""
        answers = []
        for number, worker in tuple(self._workers.items()):
            try:
                data = worker.channel.receive()
            except ChannelClosedError:
                self._lose_worker(number)
                continue
            if data is not None:
                worker.request = None
                answers.append(unpack(data))
        # In the order of the requests: an earlier one would be refused after a later one.
        for kind, answer in sorted(answers, key=lambda each: each[1]["request"]):
            self._take_answer(kind, answer, now_ns)

    def _take_answer(self, kind: str, answer: dict[str, Any], now_ns: int) -> None:
        if answer["refused"]:
            self._loop.counters.add("images_refused", answer["refused"])
        self._refusal = answer["problem"] or self._refusal
        if kind == "failed":
            self._loop.fail(answer["request"], answer["reason"])
            self._retry_ns = time.monotonic_ns() + _RETRY_NS
            return
        observed_ns = self._timeline.from_ros(answer["image_ns"]) if answer["image_ns"] else 0
        actions = floats(answer["actions"], self._columns)
        delivery = self._loop.deliver(answer["request"], actions, observed_ns, now_ns)
        launch = delivery.launch
        if launch is None or delivery.outcome is None:
            return
        self._figures.record_inference(answer["ended_ns"] - answer["started_ns"])
        if "launch_us" in answer:
            self._figures.launch.record(*answer["launch_us"])
        timeline = self._timeline
        self._node.send(
            pack(
                "inference",
                id=answer["request"],
                outcome=delivery.outcome.value,
                observed_ns=answer["image_ns"] or timeline.ros_ns(launch.state.stamp_ns),
                launched_ns=timeline.ros_ns(launch.launched_ns),
                received_ns=timeline.ros_ns(now_ns),
                switch_ns=timeline.ros_ns(max(now_ns, delivery.start_ns)),
                assumed_ns=timeline.ros_ns(delivery.start_ns),
                inference_ms=(answer["ended_ns"] - answer["started_ns"]) * 1e-6,
                estimate_ms=self._loop.delay.estimate_ns * 1e-6,
                late_ms=delivery.late_ns * 1e-6,
            )
        )

    def _lose_worker(self, number: int) -> None:
        """Take note that a worker is gone, and what it was thinking about with it."""
        worker = self._workers.pop(number)
        worker.channel.close()
        self._loop.counters.add("policy_losses")
        if worker.request is not None:
            self._loop.fail(worker.request, "worker_lost")

    def _ask_corrector(self, now_ns: int) -> None:
        """Show the corrector what the next tick will do unless it is corrected."""
        if self._corrector is None:
            return
        next_ns = now_ns + self._config.tick_ns
        outlook = self._loop.outlook(next_ns, self._rows)
        if outlook is None:
            return
        moment = pack(
            "moment",
            at_ns=next_ns,
            now_ns=self._timeline.ros_ns(next_ns),
            request=outlook.request,
            planned=outlook.planned.tobytes(),
            age_ns=outlook.age_ns,
            position=outlook.state.position.tobytes(),
            velocity=outlook.state.velocity.tobytes(),
            task=self._task,
        )
        try:
            if not self._corrector.send(moment):
                self._loop.counters.add("corrector_busy")
                return
        except ChannelClosedError:
            self._lose_corrector()
            return
        self._outlooks.append(outlook)
        self._unanswered_ns = self._unanswered_ns or time.monotonic_ns()

    def _hear_corrector(self, now_ns: int) -> None:
        """Take in the corrections that have come by now."""
        try:
            while self._corrector is not None and (data := self._corrector.receive()) is not None:
                self._unanswered_ns = 0
                self._take_correction(*unpack(data), now_ns)
        except ChannelClosedError:
            self._lose_corrector()

    def _take_correction(self, kind: str, answer: dict[str, Any], now_ns: int) -> None:
        counters = self._loop.counters
        if answer["refused"]:
            counters.add("images_refused", answer["refused"])
        self._refusal = answer["problem"] or self._refusal
        if kind == "failed":
            counters.add(f"failures_corrector_{answer['reason']}")
            return
        self._figures.correction.record(answer["took_ns"])
        if answer["at_ns"] < now_ns:
            counters.add("corrections_late")
        outlook = next((each for each in reversed(self._outlooks) if each.at_ns == answer["at_ns"]), None)
        if outlook is not None:
            self._loop.correct(floats(answer["values"]), outlook)
            if answer["image_ns"]:
                self._figures.correction_age.record(now_ns - self._timeline.from_ros(answer["image_ns"]))

    def _hear_cameras(self) -> None:
        """Take note of abrupt changes of the scene since the last tick."""
        try:
            while self._cameras is not None and self._cameras.receive() is not None:
                self._loop.note_change()
        except ChannelClosedError:  # the node has ended, and will be missed elsewhere
            self._cameras = None

    def _lose_corrector(self) -> None:
        assert self._corrector is not None
        self._corrector.close()
        self._corrector = None
        self._unanswered_ns = 0
        self._loop.counters.add("corrector_losses")

    def _hear_node(self) -> None:
        """Do what the policy node asks for."""
        while True:
            data, descriptor = self._node.receive_with_descriptor()
            if data is None:
                return
            kind, content = unpack(data)
            if descriptor is not None:
                self._meet(kind, content, Channel.from_fd(descriptor))
            elif kind == "activate":
                self._active = True
                self._activation = content["number"]
                self._forget_figures()
                self._loop.reset()
                if content["start"]:
                    self._loop.start()
            elif kind == "deactivate":
                self._brake()
                self._active = False
                return  # whatever comes next, the ticks of this activation are over
            elif kind == "start":
                self._loop.start()
            elif kind == "stop":
                self._loop.stop()
            elif kind == "pace":
                self._loop.pace(content["period_ns"])
                self._steps = content["steps"]
            elif kind == "task" and content["text"] != self._task:
                self._task = content["text"]
                self._loop.restart_plan()

    def _meet(self, kind: str, content: dict[str, Any], channel: Channel) -> None:
        """Take the channel to a new worker or corrector, in the place of the former, or to the cameras."""
        if kind == "policy":
            if content["number"] in self._workers:
                self._lose_worker(content["number"])
            self._workers[content["number"]] = _Worker(channel, deque(maxlen=self._kept_states))
            if not self._loop.delay.known:
                self._loop.delay.record(content["warm_ns"])
        elif kind == "corrector":
            if self._corrector is not None:
                self._lose_corrector()
            self._corrector = channel
        else:
            self._cameras = channel

    def _forget_figures(self) -> None:
        """Count from now on; what is told of an activation is its own."""
        self._figures.clear()
        self._loop.counters.clear()
        self._limited = self._loop.limit_counts()
        self._tick = None
        self._refusal = ""

    def _brake(self) -> None:
        """Tick on until the robot stands: for as many ticks as the limits ask for, however long they take."""
        self._loop.stop()
        tick_ns = self._config.tick_ns
        deadline_ns = self._timeline.next_tick(tick_ns)
        left = 1 + self._braking_ns() // tick_ns
        ticked_ns = time.monotonic_ns()
        while left:
            with contextlib.suppress(Exception):  # what failed before, such as the node, ends no braking
                self._report(time.monotonic_ns())
            if not self._timeline.wait(deadline_ns):
                if time.monotonic_ns() > ticked_ns + _STANDSTILL_NS:
                    return
                deadline_ns = self._timeline.next_tick(tick_ns)
                continue
            left, ticked_ns = left - 1, time.monotonic_ns()
            self._take_joint_states()
            tick = self._loop.tick(deadline_ns)
            if tick is None:
                return
            self._send(tick, deadline_ns)
            if not tick.velocity.any():
                return
            deadline_ns += tick_ns

    def _braking_ns(self) -> int:
        """Return within which time the robot stands by the limits, 7 s at most."""
        fastest = 0.0 if self._tick is None else float(np.abs(self._tick.velocity).max())
        brake_s = fastest / min(self._config.limits.acceleration, default=math.inf)
        return round(1e9 * min(_BRAKE_SLACK_S + brake_s, _LONGEST_BRAKE_S))

    def _slack(self, deadline_ns: int) -> None:
        """Use what is left before the next deadline for what may wait."""
        self._hear_node()
        now_ns = time.monotonic_ns()
        if now_ns >= self._next_collect_ns and deadline_ns - self._timeline.now_ns() > _COLLECT_TAKES_NS:
            self._next_collect_ns = now_ns + _COLLECT_NS
            gc.collect(1)
        self._report(now_ns)

    def _report(self, now_ns: int) -> None:
        """Send the figures to the policy node five times a second."""
        if now_ns < self._next_status_ns:
            return
        self._next_status_ns = now_ns + _STATUS_NS
        loop = self._loop
        self._node.send(
            pack(
                "status",
                time_ns=now_ns,
                activation=self._activation,
                running=loop.running,
                workers=len(self._workers),
                corrector=self._corrector is not None,
                corrector_silent_ms=(now_ns - self._unanswered_ns) * 1e-6 if self._unanswered_ns else 0.0,
                served=self._tick.served.value if self._tick else "",
                in_flight_ms=[
                    (number, (now_ns - worker.asked_ns) * 1e-6)
                    for number, worker in self._workers.items()
                    if worker.request is not None
                ],
                delay_estimate_ms=loop.delay.estimate_ns * 1e-6,
                longest_pace_ms=loop.longest_pace_ns * 1e-6,
                choice=loop.strategy.reason if isinstance(loop.strategy, Auto) else "",
                counters=loop.counters.snapshot(),
                limits={name: count - self._limited[name] for name, count in loop.limit_counts().items()},
                states=self._joint_states.received,
                standby_ticks=self._ticks.taken_over,
                reports_lost=self._node.dropped,
                refusal=self._refusal,
                quantiles_ms=self._figures.quantiles_ms(),
                window_ms=self._figures.window_ms(now_ns),
                launch=self._figures.launch.values(),
            )
        )


def main() -> int:
    """Run as a child of the policy node, with the descriptor of the channel as the argument."""
    node = channel_from_parent()
    prepare_control_process()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node.wait(None)
        data = node.receive()
        assert data is not None
        try:
            tick = PolicyTick(node, unpack(data)[1])
        except LowlatError as error:
            node.send(pack("refused", reason=brief(str(error))))
            return 2
        tick.run()
    except ChannelClosedError:
        return 0
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
