# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot dataset -> bags, one per episode, as if the robot had been recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import CameraConfig, Contract
from lowlat_nodes.control.sampler import Sampler, Sampling
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import NO_FLOATS, CompressedImage, Floats, Image, Joints, Text, Trajectory
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagWriter
from lowlat_nodes.transport.bag.codec import TYPES_OF_PAYLOADS
from lowlat_nodes.transport.bag.names import absolute
from lowlat_nodes.transport.dataset import DatasetReader, Episode, Frame, Layout, png

START_NS = 1_700_000_000 * 1_000_000_000
"""When each episode begins: a dataset does not say when it was recorded, and equal ones give equal bags."""


def write_bags(folder: Path, out: Path, config: ControlConfig, *, node: str) -> dict[str, Any]:
    """Write a folder of bags, which is there when it is complete.

    The messages of a frame are all stamped with its instant, on the grid from which a dataset is made.

    Args:
        folder: The dataset.
        out: Where the bags are to be.
        config: The parameters of the robot's policy node: which topics, joints, cameras and units.
        node: What `~` stands for in the names of topics.

    Returns:
        What came of it, as `lowlat dataset --json` prints it.

    Raises:
        ConfigurationError: If the dataset is of another robot than the parameters.
        DatasetError: If it cannot be read.
        BagError: If the bags cannot be written.
    """
    reader = DatasetReader(folder)
    robot = _Robot(config, reader.layout, node)
    with tempfile.TemporaryDirectory(prefix=".lowlat_dataset_", dir=out.parent) as made:
        bags = Path(made) / "bags"
        for episode in reader.episodes:
            with BagWriter(bags / f"episode_{episode.index:06d}.mcap") as writer:
                for topic, stamp_ns, payload in robot.messages(reader, episode):
                    kind = TYPES_OF_PAYLOADS[type(payload)]
                    writer.write(topic, kind, stamp_ns, cdr.encode(kind, stamp_ns, "", payload))
        bags.rename(out)
    return {
        "bags": str(out),
        "fps": reader.layout.fps,
        "episodes": len(reader.episodes),
        "frames": sum(episode.length for episode in reader.episodes),
        "tasks": list(reader.tasks),
        "features_left_out": list(reader.unused),
    }


class _Robot:
    """Turns frames into the messages of a robot."""

    def __init__(self, config: ControlConfig, layout: Layout, node: str) -> None:
        self._joints = joints = config.observation.joints.names
        self._layout = layout
        self._velocities = len(layout.state) == 2 * len(joints)
        sampler = Sampler(config, Sampling(fps=layout.fps, velocities=self._velocities))
        _check_names("observation.state", layout.state, joints, (".pos", ".vel")[: 1 + self._velocities])
        _check_names("action", layout.action, joints, (".pos",))
        _check_images(layout, sampler.cameras)
        self._contract: Contract = sampler.contract
        self._cameras = sampler.cameras
        self._trajectories = config.command.kind != "positions"
        self._lead_ns = np.array([round(config.command.lead_ms * 1e6) or 1_000_000_000 // layout.fps])
        self._state_topic, *cameras, self._task_topic, self._command_topic = (
            absolute(stream, node) for stream in sampler.inputs
        )
        self._camera_topics = dict(zip(sampler.cameras, cameras, strict=True))

    def messages(self, reader: DatasetReader, episode: Episode) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, stamp and payload of everything in an episode."""
        task = None
        for number, frame in enumerate(reader.frames(episode)):
            stamp_ns = START_NS + number * 1_000_000_000 // self._layout.fps
            if frame.task != task:
                task = frame.task
                yield self._task_topic, stamp_ns, Text(task)
            yield self._state_topic, stamp_ns, self._state(frame)
            for name, data in frame.images.items():
                yield self._camera_topics[name], stamp_ns, self._image(self._cameras[name], data)
            yield self._command_topic, stamp_ns, self._command(frame, stamp_ns)

    def _state(self, frame: Frame) -> Joints:
        values = frame.state.astype(np.float64)
        joints = len(self._joints)
        # Absolute actions and positions are in the same units.
        position = self._contract.targets(values[None, :joints])[0]
        velocity = self._contract.offsets(values[joints:]) if self._velocities else NO_FLOATS
        return Joints(self._joints, position, velocity, NO_FLOATS)

    def _command(self, frame: Frame, stamp_ns: int) -> Floats | Trajectory:
        target = self._contract.targets(frame.action.astype(np.float64)[None])
        if not self._trajectories:
            values: Floats = target[0]
            return values
        return Trajectory(self._joints, stamp_ns, self._lead_ns, target, NO_FLOATS, NO_FLOATS)

    def _image(self, camera: CameraConfig, data: bytes) -> Image | CompressedImage:
        if camera.compressed:
            png.check(data, camera.height, camera.width)
            return CompressedImage(np.frombuffer(data, np.uint8), "png")
        image = png.decode(data, camera.height, camera.width)
        if camera.encoding == "bgr8":
            image = image[..., ::-1]
        elif camera.encoding == "mono8":
            image = image[..., 0]
        return Image(image, camera.encoding)


def _check_names(
    feature: str, names: tuple[str, ...], joints: tuple[str, ...], suffixes: tuple[str, ...]
) -> None:
    """Compare the names of a feature's values with the joints; names need not have LeRobot's suffixes."""
    expected = [joint + suffix for suffix in suffixes for joint in joints]
    given = [name if not name or name.endswith(suffixes) else name + suffixes[0] for name in names]
    fits = len(given) == len(expected)
    if not fits or any(name not in ("", wanted) for name, wanted in zip(given, expected, strict=True)):
        raise ConfigurationError(
            f"{feature}: the parameters have the joints {list(joints)}, the dataset has {list(names)}; "
            f"expected the parameters of the robot that it was recorded with, with its joints in their order"
        )


def _check_images(layout: Layout, cameras: Mapping[str, CameraConfig]) -> None:
    given = {name: (camera.height, camera.width) for name, camera in cameras.items()}
    if dict(layout.images) != given:
        raise ConfigurationError(
            f"observation.camera: the dataset has images {_sizes(layout.images)}, the parameters "
            f"{_sizes(given)}; name each camera group after its image and give its size"
        )


def _sizes(images: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {width}x{height}" for name, (height, width) in images.items()) or "none"
