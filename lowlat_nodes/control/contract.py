# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics make which policy features, and what goes back out: the observation and command contracts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.payload import Floats, Image, Joints

_LARGEST = 1e6  # rad, m or per second: no joint gets there, and float32 holds it in any unit
_SHOWN = 8
RELIABILITIES = ("auto", "reliable", "best_effort")


class ObservationError(LowlatError):
    """A message in flight does not fit the contract; it is counted and ignored."""


@dataclass(frozen=True)
class GripperConfig:
    """A joint that the policy sees and commands as an opening from 0 (closed) to 1 (open)."""

    closed: float = setting(doc="Joint position when closed.", unit="rad or m")
    open: float = setting(doc="Joint position when open.", unit="rad or m")

    def __post_init__(self) -> None:
        if self.closed == self.open:
            raise ConfigurationError(f"gripper: open and closed must differ, both are {self.open:g}")


@dataclass(frozen=True)
class JointsConfig:
    """Where joint states come from."""

    topic: str = setting("joint_states", doc="sensor_msgs/JointState topic.")
    names: tuple[str, ...] = setting(doc="Joint names in the policy's order; messages may have any order.")
    unit: str = setting("rad", doc="Angle unit of the policy; ROS has rad.", choices=("rad", "deg"))
    timeout_ms: float = setting(
        100.0, doc="Age at which states are stale and motion stops.", unit="ms", low=1.0
    )
    reliability: str = setting("auto", doc="QoS of the subscription.", choices=RELIABILITIES)

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise ConfigurationError(
                f"observation.joints.names: expected distinct joint names, got {list(self.names)}"
            )


@dataclass(frozen=True)
class CameraConfig:
    """Where one image feature comes from."""

    topic: str = setting(doc="Image topic.")
    compressed: bool = setting(False, doc="Whether it carries sensor_msgs/CompressedImage.")
    encoding: str = setting(
        "rgb8", doc="Expected encoding; rgb8 if compressed.", choices=("rgb8", "bgr8", "mono8")
    )
    width: int = setting(doc="Expected width.", unit="px", low=1, high=8192)
    height: int = setting(doc="Expected height.", unit="px", low=1, high=8192)
    feature: str = setting("", doc="Name of the policy's input; the name of this group if empty.")
    reliability: str = setting("auto", doc="QoS of the subscription.", choices=RELIABILITIES)

    def __post_init__(self) -> None:
        if self.compressed and self.encoding != "rgb8":
            raise ConfigurationError(
                f"camera: compressed images are decoded to rgb8, whatever the file holds; expected "
                f"encoding rgb8, got {self.encoding}; leave encoding out"
            )

    @property
    def type_name(self) -> str:
        """Return the ROS message type of the topic."""
        return "sensor_msgs/msg/CompressedImage" if self.compressed else "sensor_msgs/msg/Image"


@dataclass(frozen=True)
class TaskConfig:
    """Where the task text comes from."""

    topic: str = setting("task", doc="std_msgs/String topic, latched or not.")
    text: str = setting("", doc="The task until a message comes.")


@dataclass(frozen=True)
class ObservationConfig:
    """The observation contract."""

    joints: JointsConfig = section(JointsConfig, doc="Joint states.")
    camera: Mapping[str, CameraConfig] = group(CameraConfig, doc="One group per camera.")
    gripper: Mapping[str, GripperConfig] = group(
        GripperConfig, doc="One group per gripper joint, by its name."
    )
    task: TaskConfig = section(TaskConfig, doc="Task text.")
    align: str = setting(
        "newest",
        doc="State that goes with an image: the newest one, or the one at the image's capture time "
        "(not with strategies that show the state at the swap).",
        choices=("newest", "image"),
    )
    image_timeout_ms: float = setting(
        500.0, doc="Age at which an image is too old to start an inference.", unit="ms", low=1.0
    )
    state_mean: tuple[float, ...] = setting((), doc="Subtracted from the state; empty if the model does it.")
    state_std: tuple[float, ...] = setting((), doc="Divides the state; empty if the model does it.")


@dataclass(frozen=True)
class CommandConfig:
    """The command contract."""

    kind: str = setting(
        "positions",
        doc="positions: Float64MultiArray per tick; point: one-point JointTrajectory per tick; "
        "chunk: a stamped JointTrajectory per swap.",
        choices=("positions", "point", "chunk"),
    )
    topic: str = setting("~/commands", doc="Where commands go.")
    lead_ms: float = setting(0.0, doc="time_from_start of a point; 0 takes one tick.", unit="ms", low=0.0)
    tracking_tolerance: float = setting(
        0.1,
        doc="After ~/start and after stale states, a joint further than this from its last command, which "
        "stands, is commanded from where it is. Above what a drive sags under load.",
        unit="rad or m",
        low=0.0,
    )
    action_mean: tuple[float, ...] = setting(
        (), doc="Added to actions after scaling; empty if the model does it."
    )
    action_std: tuple[float, ...] = setting((), doc="Scales actions; empty if the model does it.")


class Contract:
    """Translates between messages and a policy's features.

    Args:
        observation: The observation contract.
        command: The command contract.
        spec: What the policy says of itself.
        state_fields: What joint states must have besides, for others than the policy.

    Raises:
        ConfigurationError: For every way in which the three do not fit, with both sides.
    """

    def __init__(
        self,
        observation: ObservationConfig,
        command: CommandConfig,
        spec: PolicySpec,
        state_fields: Sequence[str] = (),
    ) -> None:
        self._observation = observation
        self._spec = spec
        self._needs_velocity = "velocity" in {*spec.state_fields, *state_fields}
        self.names = observation.joints.names
        _check_joints(self.names, spec)
        self.cameras = _check_cameras(observation.camera, spec)
        self.action_period_ns = spec.action_period_ns
        joints = len(self.names)
        for name in observation.gripper:
            if name not in self.names:
                raise ConfigurationError(
                    f"observation.gripper.{name}: there is no such joint; expected one of {list(self.names)}"
                )
        unit = math.degrees(1.0) if observation.joints.unit == "deg" else 1.0
        # One affine map per joint: policy value = scale * position + shift.
        self._scale, self._shift = np.full(joints, unit), np.zeros(joints)
        for name, gripper in observation.gripper.items():
            column = self.names.index(name)
            self._scale[column] = 1.0 / (gripper.open - gripper.closed)
            self._shift[column] = -gripper.closed * self._scale[column]
        fields = len(spec.state_fields)
        self._state_mean = _vector("observation.state_mean", observation.state_mean, fields * joints, 0.0)
        self._state_std = _vector("observation.state_std", observation.state_std, fields * joints, 1.0)
        self._action_mean = _vector("command.action_mean", command.action_mean, joints, 0.0)
        self._action_std = _vector("command.action_std", command.action_std, joints, 1.0)
        self._action_shift = np.where(np.array(spec.delta), 0.0, self._shift)
        self._columns: tuple[tuple[str, ...], NDArray[np.intp]] = ((), np.empty(0, np.intp))

    def state(self, joints: Joints, stamp_ns: int) -> RobotState:
        """Return a joint state in the contract's order.

        Raises:
            ObservationError: If a joint or its position is missing.
        """
        if joints.names != self._columns[0]:
            missing = [name for name in self.names if name not in joints.names]
            if missing:
                raise ObservationError(
                    f"expected joints {list(self.names)}, {missing} missing in {_first(joints.names)}"
                )
            order = np.array([joints.names.index(name) for name in self.names])
            self._columns = (joints.names, order)
        order = self._columns[1]
        if len(joints.position) != len(joints.names):
            raise ObservationError(
                f"expected {len(joints.names)} positions, one per joint, got {len(joints.position)}"
            )
        position: Floats = joints.position[order]
        if len(joints.velocity) == len(joints.names):
            velocity: Floats = joints.velocity[order]
        elif self._needs_velocity:
            raise ObservationError(
                f"the policy needs velocities; expected {len(joints.names)}, got {len(joints.velocity)}"
            )
        else:
            velocity = np.zeros_like(position)
        if (np.abs(position) > _LARGEST).any() or (np.abs(velocity) > _LARGEST).any():
            raise ObservationError(
                f"expected rad or m, and those per second, got {position.tolist()} and {velocity.tolist()}"
            )
        return RobotState(stamp_ns, position, velocity)

    def features(self, state: RobotState) -> NDArray[np.float32]:
        """Return float32 [fields * joints] in the policy's units, normalised if so configured."""
        parts = []
        for name in self._spec.state_fields:
            if name == "position":
                parts.append(state.position * self._scale + self._shift)
            else:
                parts.append(state.velocity * self._scale)
        features = (np.concatenate(parts) - self._state_mean) / self._state_std
        return features.astype(np.float32)

    def targets(self, actions: Floats) -> Floats:
        """Return the policy's actions float64 [rows, joints] as joint positions or steps in ROS units."""
        values = actions * self._action_std + self._action_mean
        targets: Floats = (values - self._action_shift) / self._scale
        return targets

    def actions(self, targets: Floats) -> Floats:
        """Return joint positions or steps float64 [rows, joints] as the policy's actions: undo `targets`."""
        values = targets * self._scale + self._action_shift
        actions: Floats = (values - self._action_mean) / self._action_std
        return actions

    def offsets(self, values: Floats) -> Floats:
        """Return differences between the policy's actions, float64 [joints], in ROS units."""
        offsets: Floats = values * self._action_std / self._scale
        return offsets

    def image(self, camera: str, image: Image) -> NDArray[np.uint8]:
        """Return the policy's image uint8 [height, width, 3] rgb of one camera.

        Raises:
            ObservationError: If it has another size or encoding than agreed.
        """
        config = self._observation.camera[camera]
        if (image.width, image.height, image.encoding) != (config.width, config.height, config.encoding):
            raise ObservationError(
                f"expected {config.width}x{config.height} {config.encoding}, got "
                f"{image.width}x{image.height} {image.encoding}"
            )
        import cv2

        size = self._spec.images[config.feature or camera]
        data: Any = image.data
        if (image.width, image.height) != (size.width, size.height):
            data = cv2.resize(data, (size.width, size.height), interpolation=cv2.INTER_AREA)
        if image.encoding == "bgr8":
            data = cv2.cvtColor(data, cv2.COLOR_BGR2RGB)
        elif image.encoding == "mono8":
            data = cv2.cvtColor(data, cv2.COLOR_GRAY2RGB)
        return np.ascontiguousarray(data, np.uint8)


def _first(names: tuple[str, ...]) -> str:
    """Return names for a message, with how many more there are."""
    shown, more = list(names[:_SHOWN]), len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else str(shown)


def _check_joints(names: tuple[str, ...], spec: PolicySpec) -> None:
    if len(names) != len(spec.delta):
        raise ConfigurationError(
            f"observation.joints.names: the policy moves {len(spec.delta)} joints"
            f"{f' {list(spec.joints)}' if spec.joints else ''}, got {len(names)}: {list(names)}"
        )
    if spec.joints and names != spec.joints:
        raise ConfigurationError(
            f"observation.joints.names: the policy expects {list(spec.joints)} in this order, "
            f"got {list(names)}"
        )
    unknown = [name for name in spec.state_fields if name not in ("position", "velocity")]
    if unknown:
        raise ConfigurationError(f"the policy's state has {unknown}; expected position and velocity only")


def _check_cameras(cameras: Mapping[str, CameraConfig], spec: PolicySpec) -> dict[str, str]:
    """Return the feature of each camera."""
    features = {name: config.feature or name for name, config in cameras.items()}
    given, wanted = sorted(features.values()), sorted(spec.images)
    if given != wanted:
        raise ConfigurationError(
            f"observation.camera: the policy takes images {wanted}, the contract gives {given}; name each "
            f"camera group after its image, or set its 'feature'"
        )
    for name, config in cameras.items():
        size = spec.images[features[name]]
        if config.width * size.height != config.height * size.width:
            raise ConfigurationError(
                f"observation.camera.{name}: {config.width}x{config.height} px has another aspect ratio than "
                f"the policy's {size.width}x{size.height} px"
            )
    return features


def _vector(name: str, values: tuple[float, ...], size: int, neutral: float) -> Floats:
    if not values:
        return np.full(size, neutral)
    if len(values) != size or (neutral == 1.0 and 0.0 in values):
        raise ConfigurationError(f"{name}: expected {size} numbers, not zero for a std, got {list(values)}")
    return np.array(values)
