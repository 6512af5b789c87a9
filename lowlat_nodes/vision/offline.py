# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector node without ROS: every frame of a recording, looked at in the same way each time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.inference.backend_settings import KINDS, BackendSettings
from lowlat_nodes.stream.config import build, flatten
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.vision.config import CamerasConfig
from lowlat_nodes.vision.detector import DETECTIONS, Detector

_OF_A_RUNNING_NODE = frozenset(
    {"autostart", "deadline_ms", "diagnostic_updater", "qos_overrides", "use_sim_time", "zmq"}
)
_PREFERRED = ("onnxruntime", "openvino", "torch")


class OfflineDetector(Processor):
    """Detects in every recorded frame, raw or compressed; none is dropped, and none is late.

    What runs the model is never timed: two replays must not differ because the machine was busy.

    Args:
        config: What the detector node is told.

    Raises:
        ResourceError: If the model is not there.

    Attributes:
        backend: What runs the model.
    """

    def __init__(self, config: CamerasConfig) -> None:
        self.backend = untimed(config.backend, resources.model(config.model))
        cameras = config.cameras()
        self.inputs = tuple(dict.fromkeys(camera.topic for camera in cameras.values()))
        self._topics = {f"{name}/{DETECTIONS}": config.topic(name, DETECTIONS) for name in cameras}
        self.outputs = tuple(self._topics.values())
        self._cameras = {
            topic: [name for name, camera in cameras.items() if camera.topic == topic]
            for topic in self.inputs
        }
        self._detector = Detector(dataclasses.replace(config, backend=self.backend), tuple(cameras))

    def open(self) -> None:
        """Load the model.

        Raises:
            ConfigurationError: If it is no detector that is known, or a class none of its own.
        """
        self._detector.open()

    def close(self) -> None:
        """Release the model."""
        self._detector.close()

    def process(self, message: Message) -> Sequence[Message]:
        """Return what is in a frame, for each camera that has its topic.

        Raises:
            BadImage: If it is no image, or one that cannot be read.
        """
        if not isinstance(message.payload, Image | CompressedImage):
            kind = type(message.payload).__name__
            raise BadImage(f"{message.topic}: expected Image or CompressedImage, got {kind}")
        return [
            dataclasses.replace(result, topic=self._topics[result.topic])
            for camera in self._cameras[message.topic]
            for result in self._detector.process(dataclasses.replace(message, topic=camera))
            if result.topic in self._topics
        ]


def untimed(settings: BackendSettings, model: Path) -> BackendSettings:
    """Return settings that leave nothing to be timed: ONNX Runtime on one CPU thread, unless they say else.

    Args:
        settings: What the user says.
        model: Its file; what ONNX Runtime does not read, OpenVINO or PyTorch runs.
    """
    fitting = [kind for kind in _PREFERRED if model.suffix in KINDS[kind]]
    return dataclasses.replace(
        settings,
        kind=(*fitting, "auto")[0] if settings.kind == "auto" else settings.kind,
        provider="cpu" if settings.provider == "auto" else settings.provider,
        threads=settings.threads or 1,
        spinning="never" if settings.spinning == "auto" else settings.spinning,
        precision="fp32" if settings.precision == "auto" else settings.precision,
    )


def make_detector(parameters: Mapping[str, Any]) -> OfflineDetector:
    """Make the `detector` processor of `lowlat replay` from the parameters of a detector node.

    Args:
        parameters: Flat or nested.

    Raises:
        ConfigurationError: If they do not fit; those that only concern a running node are left out.
    """
    flat = flatten(parameters)
    ours = {name: value for name, value in flat.items() if name.partition(".")[0] not in _OF_A_RUNNING_NODE}
    return OfflineDetector(build(CamerasConfig, ours))
