# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the detector node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.transport.ros import Input
from lowlat_nodes.vision.config import DetectorConfig

ONLY_CAMERA = "image"
"""The name of the camera where none is configured, and of its topic."""


@dataclass(frozen=True, kw_only=True)
class CameraSettings:
    """A camera whose frames are looked at."""

    topic: str = setting(doc="Topic of its images.")
    compressed: bool = setting(
        False, doc="Whether they are sensor_msgs/CompressedImage (JPEG, PNG) instead of sensor_msgs/Image."
    )
    reliability: str = setting(
        "auto",
        choices=("auto", "reliable", "best_effort"),
        doc="auto: reliable while all publishers offer it, otherwise best effort.",
    )

    def input(self, deadline_ms: float) -> Input:
        """Return what is subscribed to."""
        kind = "CompressedImage" if self.compressed else "Image"
        return Input(
            topic=self.topic,
            type_name=f"sensor_msgs/msg/{kind}",
            reliability=self.reliability,
            max_age_ms=deadline_ms,
        )


@dataclass(frozen=True, kw_only=True)
class DetectorNodeConfig(NodeSettings, DetectorConfig):
    """Everything that the detector node can be told."""

    camera: Mapping[str, CameraSettings] = group(
        CameraSettings, doc="One group per camera; without any, the topic `image` is the only one."
    )
    deadline_ms: float = setting(
        0.0,
        doc="Frames that are older when their turn comes are not worth detecting; 0: all are. Camera and "
        "node must agree on the time.",
        unit="ms",
        low=0.0,
        high=3_600_000.0,
    )

    zmq: ZmqSettings = section(ZmqSettings, doc="Detections over ZeroMQ as well.")

    def cameras(self) -> Mapping[str, CameraSettings]:
        """Return the cameras by name; there is at least one."""
        return self.camera or {ONLY_CAMERA: CameraSettings(topic=ONLY_CAMERA)}
