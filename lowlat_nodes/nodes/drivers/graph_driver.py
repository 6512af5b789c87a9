# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes the whole graph through a run: everything active, then lights and alerts for a time."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

from lowlat_nodes.nodes.drivers.driver import SILENCE_S, Driver, RunProblemError, drive, tell

DETECTOR, ALERTS, REPLAY = "detector_node", "alert_node", "alert_replay_node"

_QUEUE = 1000
_STEP_S = 30.0  # for a lifecycle transition; a night of alerts is read in one
_QUIET_S = 2.0  # without a result: none is under way any more
_PICTURE_S = 5.0


class GraphDriver(Driver):
    """Waits until all nodes are at work, then starts the lights and the alerts, and ends them after a time.

    Besides the events of the lights it prints, one JSON object per line,

    ============================ ==========================================================================
    `{"phase": word, "at_ns"}`   starting, playing, settling (nothing new is sent), done
    `{"node": name, ...}`        each status of each node: `part`, `level`, `message`, `values`, `at_ns`
    `{"frame": {...}}`           each frame that the detector is done with, as on its `~/inferences`
    `{"result": {...}}`          each result of the alert node, as on its `~/results`
    ============================ ==========================================================================

    `at_ns` is ROS time.

    Args:
        nodes: Names of those that must be active before anything starts. The replay of alerts is not one of
            them: it is taken from unconfigured to active when the lights start, so that somebody hears the
            result of its first alert.
        camera: Name of the detector's camera whose picture is kept; empty for none.
        picture: Where to, a JPEG file.
    """

    def __init__(self, nodes: Sequence[str], camera: str = "", picture: Path | None = None) -> None:
        super().__init__("graph_driver")
        self._wanted = [node for node in nodes if node != REPLAY]
        self._frames = self._results = 0
        self._result_s = time.monotonic()
        self._camera = camera
        self._picture = picture
        if DETECTOR in nodes:
            self.create_subscription(String, f"{DETECTOR}/inferences", self._on_frame, _QUEUE)
        if ALERTS in nodes:
            self.create_subscription(String, f"{ALERTS}/results", self._on_result, QoSProfile(depth=_QUEUE))
        self._replay = self.create_client(ChangeState, f"{REPLAY}/change_state") if REPLAY in nodes else None

    def play(self, seconds: float, patience_s: float) -> None:
        """Take the run from beginning to end.

        Raises:
            RunProblemError: If something is not ready after `patience_s`, or falls silent.
        """
        self._say("starting")
        self.wait(self._missing, patience_s)
        self._change_replay(Transition.TRANSITION_CONFIGURE)
        self.hear_after(self.now_ns(), *self._wanted)
        self._say("playing")
        begin_s = time.monotonic()
        self.start_lights()
        self._change_replay(Transition.TRANSITION_ACTIVATE)
        self.follow_lights()
        self.spin(begin_s + seconds - time.monotonic())
        self._settle()
        self._say("done")

    def heard(self, node: str, status: DiagnosticStatus) -> None:
        """Hand on every status."""
        tell(
            node=node,
            part=status.name.partition(":")[2].strip(),
            level=status.level[0],
            message=status.message,
            values=self.values[node],
            at_ns=self.now_ns(),
        )

    def _missing(self) -> str:
        """Return what the run cannot start without, empty if all is there."""
        for node in self._wanted:
            values = self.values.get(node, {})
            if values.get("state") != "active":
                failure = values.get("last_failure", "")
                return f"active {node}{f' ({failure})' if failure else ''}"
        if DETECTOR in self._wanted and not self._frames:
            return "detected frame"
        if self._replay is not None and not self._replay.service_is_ready():
            return f"service of {REPLAY}"
        return self.missing_robot()

    def _settle(self) -> None:
        """Wait until all alerts were sent and have their results, and for what all say last."""
        if self._replay is not None:
            self.wait(self._unsent, SILENCE_S)
        self._say("settling")
        deadline_s = time.monotonic() + SILENCE_S
        while time.monotonic() < min(self._result_s + _QUIET_S, deadline_s):
            self.spin()
        self.hear_after(self.now_ns(), *self._wanted)
        self._keep_picture()

    def _unsent(self) -> str:
        values = self.values.get(REPLAY, {})
        return (
            ""
            if values.get("done") == "true"
            else f"end of the alerts: {values.get('sent', 'none')} were sent"
        )

    def _change_replay(self, transition: int) -> None:
        if self._replay is None:
            return
        answer = self._replay.call_async(ChangeState.Request(transition=Transition(id=transition)))
        deadline_s = time.monotonic() + _STEP_S
        while not answer.done():
            if time.monotonic() > deadline_s:
                raise RunProblemError(f"{REPLAY} did not change its state within {_STEP_S:g} s")
            self.spin()
        if not answer.result().success:
            detail = self.values.get(REPLAY, {}).get("last_failure", "")
            raise RunProblemError(f"{REPLAY} refused to change its state{f': {detail}' if detail else ''}")

    def _keep_picture(self) -> None:
        """Write down what the detector sees; nothing where it does not come."""
        if not self._camera or self._picture is None:
            return
        seen: list[Image] = []
        topic = f"{DETECTOR}/{self._camera}/debug_image"
        subscription = self.create_subscription(Image, topic, seen.append, qos_profile_sensor_data)
        deadline_s = time.monotonic() + _PICTURE_S
        while not seen and time.monotonic() < deadline_s:
            self.spin()
        self.destroy_subscription(subscription)
        if seen:
            image = seen[0]
            pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)  # rgb8, always
            cv2.imwrite(str(self._picture), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

    def _on_frame(self, message: String) -> None:
        self._frames += 1
        tell(frame=json.loads(message.data))

    def _on_result(self, message: String) -> None:
        self._result_s = time.monotonic()
        tell(result=json.loads(message.data))

    def _say(self, phase: str) -> None:
        tell(phase=phase, at_ns=self.now_ns())


def main() -> int:
    """Drive one run."""
    parser = argparse.ArgumentParser(prog="graph_driver", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True, help="for how long, from the first light on")
    parser.add_argument(
        "--patience-s", type=float, default=90.0, help="how long the nodes may take to be ready"
    )
    parser.add_argument("--camera", default="", help="camera of the detector, for a picture")
    parser.add_argument("--picture", type=Path, help="where to write it, a JPEG file")
    parser.add_argument("nodes", nargs="+", help="names of the nodes")
    options = parser.parse_args()
    return drive(
        lambda: GraphDriver(options.nodes, options.camera, options.picture).play(
            options.seconds, options.patience_s
        )
    )


if __name__ == "__main__":
    sys.exit(main())
