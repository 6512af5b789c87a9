# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All parameters of detection, whatever hosts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lowlat_nodes.images.limits import MAX_PIXELS
from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.vision.layouts.settings import LayoutSettings
from lowlat_nodes.vision.tracking import TrackingConfig

ONLY_CAMERA = "image"
"""The name of the camera where none is configured, and of its topic."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """What is detected with, and what is reported."""

    model: str = setting(
        "shapes", doc="An ONNX file, a TorchScript program (.pt), or the name of a model that ships."
    )
    layout: LayoutSettings = section(LayoutSettings, doc="What its inputs and outputs mean.")
    backend: BackendSettings = section(BackendSettings, doc="What runs it.")
    tracking: TrackingConfig = section(TrackingConfig, doc="Numbers for things over frames.")
    threshold: float = setting(
        0.25, doc="Least score of a detection that is reported.", low=0.0, high=1.0, live=True
    )
    classes: tuple[str, ...] = setting(
        (), doc="Names of the classes that are reported; all where none is named.", live=True
    )
    max_detections: int = setting(
        100, doc="How many detections of a frame are reported, best first.", low=1, high=10_000, live=True
    )
    max_pixels: int = setting(
        MAX_PIXELS, doc="Larger images are refused before they are decoded.", unit="px", low=1
    )
    class_id: str = setting(
        "name", doc="What stands for a class in results: its name, or its number.", choices=("name", "number")
    )


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
    endpoint: str = setting(
        "",
        doc="Address of a ZeroMQ publisher that the images come from instead of ROS, under this topic; on "
        "the same host through shared memory.",
    )
    key: str = setting("", doc="Keys of the node, by name or secret file, where that publisher wants some.")
    server_key: str = setting("", doc="Public key of that publisher, or its name or file; goes with key.")

    @property
    def type_name(self) -> str:
        """Return the ROS message type of the topic."""
        return "sensor_msgs/msg/CompressedImage" if self.compressed else "sensor_msgs/msg/Image"


@dataclass(frozen=True, kw_only=True)
class CamerasConfig(DetectorConfig):
    """What is detected, and in the frames of which cameras."""

    camera: Mapping[str, CameraSettings] = group(
        CameraSettings, doc="One group per camera; without any, the topic `image` is the only one."
    )

    def cameras(self) -> Mapping[str, CameraSettings]:
        """Return the cameras by name; there is at least one."""
        return self.camera or {ONLY_CAMERA: CameraSettings(topic=ONLY_CAMERA)}

    def topic(self, camera: str, kind: str) -> str:
        """Return the topic of a kind of results: `~/<kind>`, or `~/<camera>/<kind>` with cameras by name."""
        return f"~/{camera}/{kind}" if self.camera else f"~/{kind}"
