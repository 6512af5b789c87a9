# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The corrector process of the policy node: answers each tick with a correction of the next one.

It has a process of its own because the worker thinks for many ticks, and the tick must not wait. It runs
when the tick tells of a new moment, and again when an image comes before the next one, so that what a camera
sees reaches the first command after it. Like the worker it knows no ROS.
"""

from __future__ import annotations

import select
import sys
import time
from typing import Any

import numpy as np

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import ObservationError
from lowlat_nodes.control.loop import Outlook
from lowlat_nodes.control.observer import NoObservation
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.control.residual import ResidualHead
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.nodes.counting import CHUNK, open_counts
from lowlat_nodes.nodes.policy.camera_client import CameraClient, Sight
from lowlat_nodes.nodes.policy.child import described, serve_as_child
from lowlat_nodes.nodes.policy.messages import brief, floats, pack, unpack
from lowlat_nodes.stream.config import build
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.channel import Channel, ChannelClosedError

_WARM_UP_RUNS = 3


class PolicyCorrector:
    """Owns the residual head, and serves one tick process.

    Args:
        node: The channel to the policy node.
        cameras: The channel to its images.
        setup: Content of its `setup` message.

    Raises:
        ConfigurationError: If the corrector cannot be loaded or does not fit the policy or the contracts.
    """

    def __init__(self, node: Channel, cameras: Channel, setup: dict[str, Any]) -> None:
        self._node = node
        self._counts = open_counts(setup["counted"], CHUNK)  # of none, but its time is the node's
        self._config = build(ControlConfig, setup["config"])
        self._head = ResidualHead(self._config, PolicySpec.from_plain(setup["policy"]))
        self._cameras = CameraClient(cameras, only=self._head.cameras) if self._head.cameras else None
        self._columns = len(self._config.observation.joints.names)
        self._tick: Channel | None = None
        self._moment: dict[str, Any] = {}  # the newest that the tick told of
        self._heard_ns = 0
        self._serves_ns = round(self._config.corrector.timeout_ms * 1e6)
        self._refused = 0  # images, since the last answer
        self._problem = ""
        for _ in range(_WARM_UP_RUNS):
            self._head.warm_up()
        node.send(pack("ready", rows=self._head.rows, state_fields=list(self._head.state_fields)))

    def run(self) -> None:
        """Serve until the policy node goes away."""
        if self._cameras is not None:
            self._cameras.ask()
        while True:
            watched = [end for end in (self._node, self._tick, self._cameras) if end is not None]
            ready, _, _ = select.select(watched, [], [])
            if self._node in ready:
                data, descriptor = self._node.receive_with_descriptor()
                if data is not None and descriptor is not None:
                    self._tick, self._moment = Channel.from_fd(descriptor), {}
            try:
                heard = self._tick is not None and self._tick in ready and self._hear(self._tick)
                saw = self._cameras is not None and self._cameras in ready and self._look(self._cameras)
                if self._tick is not None and self._moment and (heard or saw):
                    self._serve(self._tick)
            except ChannelClosedError:
                self._tick, self._moment = None, {}  # the node will send another one, or end us

    def _hear(self, tick: Channel) -> bool:
        """Take in the newest moment, past those that nobody can correct any more."""
        heard = False
        while (data := tick.receive()) is not None:
            _, self._moment = unpack(data)
            self._heard_ns = time.monotonic_ns()
            heard = True
        return heard

    def _look(self, cameras: CameraClient) -> bool:
        """Take in images that have come, and ask for the next; return whether the moment is not over."""
        images = cameras.receive()
        if images is None:
            self._cameras = None  # the node is ending
            return False
        for camera, sight in images.items():
            self._see(camera, sight)
        if images:
            cameras.ask()
        return time.monotonic_ns() - self._heard_ns <= self._serves_ns

    def _serve(self, tick: Channel) -> None:
        moment = self._moment
        started_ns = time.monotonic_ns()
        failure = problem = ""
        values, image_ns = np.empty(0), 0
        try:
            values, image_ns = self._head.correct(
                Outlook(
                    moment["at_ns"],
                    moment["request"],
                    floats(moment["planned"], self._columns),
                    moment["age_ns"],
                    RobotState(moment["at_ns"], floats(moment["position"]), floats(moment["velocity"])),
                ),
                task=moment["task"],
                now_ns=moment["now_ns"],
            )
        except NoObservation as error:
            failure = error.reason
        except Exception as error:  # a graph may fail in any way: the robot goes on uncorrected
            failure, problem = "error", described("corrector", error)
        refusals = [f"camera {name!r}: {why}" for name, why in self._head.refusals.items()]
        self._complain(brief(problem or "; ".join(refusals)))
        common = {"refused": self._refused, "problem": self._problem}
        self._refused = 0
        if failure:
            tick.send(pack("failed", **common, reason=failure))
            return
        tick.send(
            pack(
                "correction",
                **common,
                at_ns=moment["at_ns"],
                values=values.tobytes(),
                image_ns=image_ns,
                took_ns=time.monotonic_ns() - started_ns,
            )
        )

    def _complain(self, problem: str) -> None:
        """Keep what is wrong now for the answers, and print what is new."""
        if problem and problem != self._problem:
            print(problem, file=sys.stderr, flush=True)
        self._problem = problem

    def _see(self, camera: str, sight: Sight) -> None:
        """Take in an image, or count that it does not fit."""
        try:
            decoded = cdr.decode(self._config.observation.camera[camera].type_name, sight.data)
            self._head.see(camera, decoded.payload, decoded.stamp_ns or sight.sent_ns)
        except (cdr.CdrError, ObservationError) as error:
            self._head.refusals[camera] = str(error)
            self._refused += 1


def main() -> int:
    """Run as a child of the policy node."""
    return serve_as_child("corrector", PolicyCorrector)


if __name__ == "__main__":
    sys.exit(main())
