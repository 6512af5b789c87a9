# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot for demos and tests: an arm with a camera over it, and lights that it must touch."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from std_srvs.srv import Trigger

from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.nodes.diagnostics import Level, Report, Window, standard_values
from lowlat_nodes.nodes.realtime import request_fifo, sleep_until
from lowlat_nodes.nodes.run import run
from lowlat_nodes.sim.arm import ArmConfig, ArmSim, urdf
from lowlat_nodes.sim.camera import CameraConfig, TableCamera
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.sim.reaction import COLOURS, ReactionTask, Schedule, ScheduleConfig
from lowlat_nodes.sim.scene import Thing
from lowlat_nodes.sim.world import World
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.mailbox import Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import NO_FLOATS, Floats, Image, Joints, Text
from lowlat_nodes.stream.pipeline import Pipeline
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.ros import Input, Output, RosClock, RosSink, RosSource

_S = 1_000_000_000
_CATCH_UP_NS = 200_000_000
_LIGHTS = ScheduleConfig()
_VIEW = CameraConfig()

COMMANDS = Input(topic="arm/commands", type_name="std_msgs/msg/Float64MultiArray")
IMAGES = Output(topic="camera/image", type_name="sensor_msgs/msg/Image", depth=2)
DESCRIPTION = Output(topic="robot_description", type_name="std_msgs/msg/String", latched=True)
TASK = Output(topic="task", type_name="std_msgs/msg/String", latched=True)
OUTPUTS = {
    "joints": Output(topic="joint_states", type_name="sensor_msgs/msg/JointState", depth=10),
    "event": Output(topic="reaction/events", type_name="std_msgs/msg/String", latched=True, depth=1000),
}


@dataclass(frozen=True)
class LightSettings:
    """The reaction task that `reaction/start` starts."""

    targets: int = setting(_LIGHTS.targets, doc="Lights to be touched.", low=1, high=10_000, live=True)
    seed: int = setting(0, doc="The same seed gives the same lights at the same times.", low=0, live=True)
    colour: str = setting(_LIGHTS.colour, doc="The colour that is asked for.", choices=COLOURS, live=True)
    window_ms: float = setting(
        _LIGHTS.window_ns / 1e6, doc="How long a light burns.", unit="ms", low=50.0, high=60_000.0, live=True
    )

    def schedule(self) -> Schedule:
        """Return the lights."""
        return Schedule.generate(self.schedule_config(), seed=self.seed)

    def schedule_config(self) -> ScheduleConfig:
        """Return how they are drawn."""
        window_ns = round(self.window_ms * 1e6)
        return ScheduleConfig(targets=self.targets, colour=self.colour, window_ns=window_ns)


@dataclass(frozen=True, kw_only=True)
class SimArmSettings(NodeSettings):
    """Everything that the simulated arm can be told."""

    joint_rate_hz: float = setting(
        200.0, doc="Rate of joint states and of the steps of the simulation.", unit="Hz", low=10.0, high=500.0
    )
    image_rate_hz: float = setting(30.0, doc="Rate of the camera.", unit="Hz", low=1.0, high=200.0)
    image_width_px: int = setting(_VIEW.width_px, doc="Width of images.", unit="px", low=64, high=1920)
    image_height_px: int = setting(
        _VIEW.height_px, doc="Height of images, three quarters of the width.", unit="px", low=48, high=1440
    )
    frame_id: str = setting("table", doc="Frame of joint states and images.")
    priority: int = setting(
        20,
        doc="SCHED_FIFO priority of the node's threads; 0 stays with the normal scheduler.",
        low=0,
        high=99,
    )
    sensor_seed: int = setting(0, doc="Seed of the noise of the encoders.", low=0)
    lights: LightSettings = section(LightSettings, doc="The reaction task.")


class SimArmNode(LifecycleHost[SimArmSettings]):
    """Steps the arm in real time, publishes what its sensors see and does what the newest command says.

    ================== ============================= =====================================================
    topic or service   type                          content
    ================== ============================= =====================================================
    joint_states       sensor_msgs/JointState        position and velocity at every step
    camera/image       sensor_msgs/Image             rgb8, from above
    arm/commands       std_msgs/Float64MultiArray    subscribed: joint targets in rad; the newest one holds
    task               std_msgs/String               latched: what the policy is asked to do
    robot_description  std_msgs/String               latched: URDF of the arm
    reaction/events    std_msgs/String               latched: JSON, the truth about every light
    reaction/start     std_srvs/Trigger              starts a schedule of lights
    ================== ============================= =====================================================

    Stamps are the ROS time at which the state was what the message says. One thread steps physics and
    publishes joint states on absolute deadlines; another draws and publishes images, always of the newest
    state. The simulation catches up on pauses of up to 200 ms and skips longer ones.

    Events are objects with `event` and `stamp_ns`: `start`, then for each light `on` and `hit`, `miss`,
    `wrong` (a decoy was touched) or `off` (a decoy burned out), then `end`. Those of lights carry `id`, `x`,
    `y` (m in the table frame), `colour`, `asked` and `window_ns`.
    """

    def __init__(self, **ros: Any) -> None:
        self._config = SimArmSettings()
        self._camera: _Camera | None = None
        self._world: World | None = None
        self._simulation: _Simulation | None = None
        self._sched = ""
        super().__init__("sim_arm_node", SimArmSettings, **{"task": "simulated arm", **ros})
        self.create_service(Trigger, "reaction/start", self._on_start)

    def setup(self, config: SimArmSettings) -> None:
        """Build the arm and its camera."""
        self._config = config
        # A real arm takes no time of the machine that drives it, and does not suffer from a busy one.
        self._sched = request_fifo(config.priority, others=config.priority)
        self._camera = _Camera(CameraConfig(config.image_width_px, config.image_height_px))
        self._world = World(ArmSim(seed=config.sensor_seed))

    def begin(self) -> None:
        """Advertise the sensors and let time run."""
        assert self._world is not None
        assert self._camera is not None
        self._simulation = _Simulation(self, self._config, self._world, self._camera)
        self._simulation.start()
        self._simulation.describe(urdf(ArmConfig()))
        self._simulation.say(self._config.lights.schedule().task)

    def halt(self) -> None:
        """Let time stand still; the arm stays where it is."""
        if self._simulation is not None:
            self._simulation.stop()
            self._simulation = None

    def changed(self, config: SimArmSettings) -> None:
        """Take other lights from the next start on."""
        self._config = config

    def report(self) -> Report:
        """Return how well simulated time keeps up with real time."""
        assert self._simulation is not None
        report = self._simulation.report(self.state)
        report.values["sched"] = self._sched
        return report

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        world, simulation, lights = self._world, self._simulation, self._config.lights
        if world is None or simulation is None:
            response.message = f"expected an active node, this one is {self.state}"
        elif world.playing:
            response.message = "lights are burning already; wait for the event `end` on reaction/events"
        else:
            schedule = lights.schedule()
            simulation.say(schedule.task)
            world.play(ReactionTask(schedule), seed=lights.seed)
            response.success = True
            response.message = f"{len(schedule.targets)} targets in {schedule.duration_ns / _S:.1f} s"
        return response


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What the camera looks at."""

    q: Floats
    things: Sequence[Thing]


class _Camera(Processor):
    """Draws scenes."""

    inputs = ("scene",)
    outputs = ("image",)

    def __init__(self, config: CameraConfig) -> None:
        self._camera = TableCamera(config)

    def process(self, message: Message) -> list[Message]:
        scene: _Scene = message.payload
        return [message.derive("image", Image(self._camera.render(scene.q, scene.things), "rgb8"))]


class _Simulation:
    """An active simulation: the thread that steps the world, the camera behind it, and their topics."""

    def __init__(self, node: SimArmNode, config: SimArmSettings, world: World, camera: _Camera) -> None:
        self._config = config
        self._world = world
        self._clock = RosClock(node)
        self._step_ns = round(_S / config.joint_rate_hz)
        self._image_ns = round(_S / config.image_rate_hz)
        self._sink = RosSink(node, OUTPUTS)
        self._pipeline = Pipeline(
            [], Newest(self._clock), camera, RosSink(node, {"image": IMAGES}), self._clock, name="camera"
        )
        self._texts = RosSink(node, {"task": TASK, "description": DESCRIPTION})
        self._source = RosSource(node, "command", COMMANDS)
        self._counters = Counters()
        self._window = Window()
        self._failure = ""
        self._stepped_ns = 0
        self._began_ns = time.monotonic_ns()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def start(self) -> None:
        self._pipeline.start()
        self._source.start(self._command)
        self._began_ns = time.monotonic_ns()
        self._thread.start()

    def stop(self) -> None:
        self._running = False
        self._source.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._pipeline.stop()
        self._sink.close()
        self._texts.close()

    def say(self, task: str) -> None:
        self._texts.write(Message("task", Text(task)))

    def describe(self, arm: str) -> None:
        self._texts.write(Message("description", Text(arm)))

    def report(self, state: str) -> Report:
        counts = self._counters.snapshot()
        images = self._pipeline.stats()
        dropped = self._pipeline.mailbox.drops.snapshot()
        real_ns = max(1, time.monotonic_ns() - self._began_ns)
        factor = self._stepped_ns / real_ns
        values = standard_values(
            state,
            figures=self._window.turn(self._source.received),
            drops=self._source.drops.snapshot(),
            failures=images.failures,
            last_failure=self._failure or images.last_failure,
        )
        values |= {
            "simulated": "true",
            "real_time_factor": factor,
            "steps": counts.get("steps", 0),
            "steps_skipped": counts.get("steps_skipped", 0),
            "commands": self._source.received,
            "commands_refused": counts.get("commands_refused", 0),
            "images": images.published,
            "images_dropped": sum(dropped.values()),
        }
        if not self._thread.is_alive():
            return Report(Level.ERROR, f"the simulation has stopped: {self._failure}", values)
        if real_ns > _S and factor < 0.98:
            return Report(Level.WARN, f"simulated at {factor:.2f} of real time", values)
        return Report(Level.OK, "simulated", values)

    def _command(self, message: Message) -> None:
        try:
            self._world.command(message.payload)
        except ValueError as error:
            self._counters.add("commands_refused")
            self._failure = f"arm/commands: {error}"

    def _run(self) -> None:
        """Step on absolute deadlines; catch up on a short pause of the process and skip a long one."""
        deadline_ns = time.monotonic_ns() + self._step_ns
        next_image_ns = deadline_ns
        try:
            while self._running:
                sleep_until(deadline_ns)
                late_ns = time.monotonic_ns() - deadline_ns
                if late_ns > _CATCH_UP_NS:
                    skipped = late_ns // self._step_ns
                    self._counters.add("steps_skipped", skipped)
                    deadline_ns += skipped * self._step_ns
                image_due = deadline_ns >= next_image_ns
                if image_due:
                    next_image_ns = max(next_image_ns + self._image_ns, deadline_ns)
                self._step(deadline_ns, image_due=image_due)
                deadline_ns += self._step_ns
        except Exception as error:  # reported as an error of the node; nothing here is meant to raise
            self._failure = f"{type(error).__name__}: {error}"

    def _step(self, deadline_ns: int, *, image_due: bool) -> None:
        # The age of the deadline crosses over from steady time to ROS time, the time itself does not.
        stamp_ns = self._clock.now_ns() - (time.monotonic_ns() - deadline_ns)
        reading, records = self._world.advance(self._step_ns, stamp_ns)
        trace = Trace(capture_ns=stamp_ns, received_ns=stamp_ns)
        joints = Joints(JOINT_NAMES, reading.position, reading.velocity, NO_FLOATS)
        self._sink.write(Message("joints", joints, trace, frame_id=self._config.frame_id))
        for record in records:
            self._sink.write(Message("event", Text(json.dumps(record))))
        if image_due:
            scene = _Scene(self._world.q, self._world.things)
            self._pipeline.deliver(
                Message("scene", scene, Trace(capture_ns=stamp_ns), frame_id=self._config.frame_id)
            )
        trace.published_ns = self._clock.now_ns()
        self._window.give(trace)
        self._counters.add("steps")
        self._stepped_ns += self._step_ns


def main() -> int:
    """Run the node."""
    return run(SimArmNode)


if __name__ == "__main__":
    sys.exit(main())
