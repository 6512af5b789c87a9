# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference process of the policy node: waits for a launch, looks at the newest images, and answers.

A policy that holds the interpreter's lock, leaks or crashes does so here, away from the tick. The process
knows no ROS: it starts sooner, and killing it disturbs nobody's middleware (see `camera_server`).
"""

from __future__ import annotations

import select
import sys
import time
from typing import Any

import numpy as np

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import Contract, ObservationError
from lowlat_nodes.control.observer import NoObservation, Observer
from lowlat_nodes.control.policies.load import load_policy
from lowlat_nodes.control.policies.policy import Observation, Policy, blank_observation, infer
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.inference.model import LaunchTimes
from lowlat_nodes.inference.segments.sharing import SharingSettings, open_sharing
from lowlat_nodes.inference.turns.shared import TurnTimeout
from lowlat_nodes.nodes.counting import CHUNK, open_counts
from lowlat_nodes.nodes.policy.camera_client import CameraClient, Sight
from lowlat_nodes.nodes.policy.child import described, serve_as_child
from lowlat_nodes.nodes.policy.messages import brief, check_size, floats, pack, unpack
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.requester import RequestError
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.channel import Channel, ChannelClosedError
from lowlat_nodes.transport.policy.connect import connect
from lowlat_nodes.transport.policy.process_client import ProcessClient

_WARM_UP_RUNS = 3
_TOLD_S = 1.0  # between two reports on a shared device


class PolicyWorker:
    """Owns the policy, and serves one tick process after the other.

    Args:
        node: The channel to the policy node.
        cameras: The channel to its images.
        setup: Content of its `setup` message.

    Raises:
        ConfigurationError: If the policy cannot be loaded or does not fit the contracts.
    """

    def __init__(self, node: Channel, cameras: Channel, setup: dict[str, Any]) -> None:
        self._counts = open_counts(setup["counted"], CHUNK)
        self._node = node
        self._cameras = CameraClient(cameras)
        self._tick: Channel | None = None
        self._config = build(ControlConfig, setup["config"])
        self._sharing = open_sharing(build(SharingSettings, setup["turn"]), setup["name"])
        self._told_s = 0.0
        self._policy = load_policy(self._config.policy, connect, ProcessClient, self._sharing)
        self._contract = Contract(self._config.observation, self._config.command, self._policy.spec)
        check_size(self._policy.spec)
        self._observer = Observer(self._config.observation, self._contract)
        self._refused = 0  # images, since the last answer
        self._problem = ""
        self._latency = self._config.policy.latency
        warm_ns = self._warm_up()
        if reason := getattr(self._policy, "not_graphed", ""):
            print(f"policy.graphs: inferences are no CUDA graphs: {reason}", file=sys.stderr, flush=True)
        self._sharing.turn.declare()
        node.send(pack("ready", spec=self._policy.spec.to_plain(), warm_ns=warm_ns))

    def run(self) -> None:
        """Serve launches until the policy node goes away."""
        while True:
            watched = [end for end in (self._node, self._tick) if end is not None]
            ready, _, _ = select.select(watched, [], [], _TOLD_S if self._sharing.is_shared else None)
            self._tell_figures()
            if self._node in ready:
                data, descriptor = self._node.receive_with_descriptor()
                if data is not None and descriptor is not None:
                    self._tick = Channel.from_fd(descriptor)
            if self._tick is not None and self._tick in ready:
                try:
                    self._serve(self._tick)
                except ChannelClosedError:
                    self._tick = None  # the node will send another one, or end us

    def _tell_figures(self) -> None:
        """Tell the node once a second how the shared device is."""
        now_s = time.monotonic()
        if self._sharing.is_shared and now_s - self._told_s >= _TOLD_S:
            self._told_s = now_s
            self._node.send(pack("figures", **self._sharing.turn.figures()))

    def _serve(self, tick: Channel) -> None:
        data = tick.receive()
        if data is None:
            return
        _, launch = unpack(data)
        steps = launch.get("steps", 0)
        bucket = f"{steps} steps" if steps else ""
        self._counts.begin(bucket)
        started_ns = time.monotonic_ns()
        failure = problem = ""
        actions, image_ns, launch_us = np.empty(0), 0, None
        try:
            observation, image_ns = self._observe(launch)
            observation.steps = steps
            with self._sharing.turn.job(bucket):
                inferred = infer(self._policy, observation)
            actions = self._contract.targets(inferred)
            launch_us = _launch_us(self._policy)
        except NoObservation as error:
            failure = error.reason
        except RequestError as error:
            failure, problem = error.reason, str(error)
        except TurnTimeout as error:
            failure, problem = "turn_timeout", str(error)
        except Exception as error:  # a policy is foreign code: whatever it raises, the robot must go on
            failure, problem = "policy_error", described("policy", error)
        refusals = [f"camera {name!r}: {why}" for name, why in self._observer.refusals.items()]
        self._complain(brief(problem or "; ".join(refusals)))
        rest_ns = started_ns + self._latency.draw_ns(launch["request"]) - time.monotonic_ns()
        if rest_ns > 0 and not failure:
            time.sleep(rest_ns * 1e-9)
        ended_ns = time.monotonic_ns()
        common = {"request": launch["request"], "refused": self._refused, "problem": self._problem}
        self._refused = 0
        if failure:
            tick.send(pack("failed", **common, reason=failure))
        else:
            times: dict[str, Any] = {"started_ns": started_ns, "ended_ns": ended_ns, "image_ns": image_ns}
            if launch_us is not None:
                times["launch_us"] = launch_us
            tick.send(pack("answer", **common, **times, actions=actions.tobytes()))
            self._counts.done(1, bucket)

    def _complain(self, problem: str) -> None:
        """Keep what is wrong now for the answers, and print what is new."""
        if problem and problem != self._problem:
            print(problem, file=sys.stderr, flush=True)
        self._problem = problem

    def _observe(self, launch: dict[str, Any]) -> tuple[Observation, int]:
        """Look at the cameras and return what the policy sees, and the capture time of its oldest image."""
        cameras = self._config.observation.camera
        for camera, sight in (self._cameras.look() if cameras else {}).items():
            self._see(camera, sight)
        self._observer.remember(
            RobotState(stamp_ns, floats(position), floats(velocity))
            for stamp_ns, position, velocity in launch["history"]
        )
        return self._observer.observe(
            RobotState(0, floats(launch["position"]), floats(launch["velocity"])),
            request=launch["request"],
            task=launch["task"],
            launched_ns=launch["launched_ns"],
            align=launch["align"],
            start_ns=launch.get("start_ns"),
            decided=floats(launch.get("decided", b""), len(self._contract.names)),
            committed=launch.get("committed", 0),
        )

    def _see(self, camera: str, sight: Sight) -> None:
        """Take in an image, or count that it does not fit."""
        try:
            decoded = cdr.decode(self._config.observation.camera[camera].type_name, sight.data)
            self._observer.see(camera, decoded.payload, decoded.stamp_ns or sight.sent_ns)
        except (cdr.CdrError, ObservationError) as error:
            self._observer.refusals[camera] = str(error)
            self._refused += 1

    def _warm_up(self) -> int:
        """Run the policy on an empty scene; return how long an inference takes once warm."""
        observation = blank_observation(self._policy.spec, self._config.observation.task.text)
        elapsed_ns = 0
        for _ in self._sharing.warm_ups(alone=_WARM_UP_RUNS):
            with self._sharing.turn.job():
                started_ns = time.monotonic_ns()
                infer(self._policy, observation)
            elapsed_ns = time.monotonic_ns() - started_ns
        return max(elapsed_ns, self._latency.typical_ns)


def _launch_us(policy: Policy) -> tuple[float, float] | None:
    """Return host and device time of launching the newest inference, µs, None where they are not known."""
    launch = getattr(policy, "launch", None)
    return (float(launch.submit_us), float(launch.device_us)) if isinstance(launch, LaunchTimes) else None


def main() -> int:
    """Run as a child of the policy node."""
    return serve_as_child("policy", PolicyWorker)


if __name__ == "__main__":
    sys.exit(main())
