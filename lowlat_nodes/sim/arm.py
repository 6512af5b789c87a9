# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A planar three-joint arm in MuJoCo whose position servos lag behind their commands."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.sim.kinematics import JOINT_NAMES, LINK_LENGTHS_M, fingertip
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class ArmConfig:
    """Servo and sensor parameters of the arm; triples run from shoulder to wrist.

    A servo is a torque-limited proportional drive against viscous friction (a motor's back-EMF does the
    same), so that one mechanism gives both the lag, `lag_ns`, and the top speed, `speed_limit_rad_s`. Inertia
    adds a second, faster pole that depends on the posture.
    """

    lag_ns: tuple[int, int, int] = (80_000_000, 70_000_000, 60_000_000)
    speed_limit_rad_s: tuple[float, float, float] = (7.0, 8.0, 9.0)
    friction_nms: tuple[float, float, float] = (6.0, 2.4, 0.6)  # N m s / rad
    position_noise_rad: float = 2e-4
    velocity_noise_rad_s: float = 4e-3
    physics_step_ns: int = 2_000_000

    def __post_init__(self) -> None:
        if self.physics_step_ns <= 0 or min(self.lag_ns) <= self.physics_step_ns:
            raise ConfigurationError(f"expected lags longer than the physics step, got {self.lag_ns} ns")
        if min(self.speed_limit_rad_s) <= 0 or min(self.friction_nms) <= 0:
            raise ConfigurationError("expected positive speed limits and friction")


@dataclass(frozen=True)
class JointReading:
    """What the joint encoders report: time in ns, positions [3] in rad, velocities [3] in rad/s (float64)."""

    time_ns: int
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]


JOINT_RANGE_RAD = ((-1.6, 3.4), (-0.2, 2.6), (-0.2, 2.0))
HOME_RAD = (0.9, 1.1, 0.55)
_LINK_MASS_KG = (0.5, 0.3, 0.1)


def mjcf(config: ArmConfig) -> str:
    """The MuJoCo model of the arm as XML."""
    head, tail, servos = "", "", ""
    for i, name in enumerate(JOINT_NAMES):
        length, damping = LINK_LENGTHS_M[i], config.friction_nms[i]
        at = 0.0 if i == 0 else LINK_LENGTHS_M[i - 1]
        low, high = JOINT_RANGE_RAD[i]
        head += (
            f'<body pos="{at} 0 0"><joint name="{name}" type="hinge" axis="0 0 1" damping="{damping}" '
            f'armature="0.002" limited="true" range="{low} {high}"/>'
            f'<geom type="capsule" size="0.02" fromto="0 0 0 {length} 0 0" mass="{_LINK_MASS_KG[i]}" '
            'contype="0" conaffinity="0"/>'
        )
        tail += "</body>"
        torque = damping * config.speed_limit_rad_s[i]
        servos += (
            f'<position name="{name}" joint="{name}" kp="{damping / (config.lag_ns[i] * 1e-9)}" '
            f'forcelimited="true" forcerange="{-torque} {torque}"/>'
        )
    tip = f'<site name="tip" pos="{LINK_LENGTHS_M[-1]} 0 0"/>'
    return (
        '<mujoco model="planar_arm"><compiler angle="radian"/>'
        f'<option timestep="{config.physics_step_ns * 1e-9}" integrator="implicitfast"/>'
        f'<worldbody><body pos="0 0 0.05">{head}{tip}{tail}</body></worldbody>'
        f"<actuator>{servos}</actuator></mujoco>"
    )


def urdf(config: ArmConfig) -> str:
    """The same arm as a robot description: joints with their limits, and links without shape or mass."""
    links, joints = ["base"], []
    for i, name in enumerate(JOINT_NAMES):
        at = 0.0 if i == 0 else LINK_LENGTHS_M[i - 1]
        low, high = JOINT_RANGE_RAD[i]
        speed = config.speed_limit_rad_s[i]
        effort = config.friction_nms[i] * speed
        joints.append(
            f'<joint name="{name}" type="revolute"><parent link="{links[-1]}"/><child link="{name}_link"/>'
            f'<origin xyz="{at} 0 0"/><axis xyz="0 0 1"/>'
            f'<limit lower="{low}" upper="{high}" velocity="{speed}" effort="{effort}"/>'
            "</joint>"
        )
        links.append(f"{name}_link")
    joints.append(
        f'<joint name="tip" type="fixed"><parent link="{links[-1]}"/><child link="fingertip"/>'
        f'<origin xyz="{LINK_LENGTHS_M[-1]} 0 0"/></joint>'
    )
    body = "".join(f'<link name="{link}"/>' for link in (*links, "fingertip")) + "".join(joints)
    return f'<?xml version="1.0"?><robot name="planar_arm">{body}</robot>'


class ArmSim:
    """The arm as a discrete-time system that its caller steps; it has no clock of its own.

    The same configuration, seed and commands give the same states and readings, bit for bit.
    Raises MissingExtra where MuJoCo is not installed.
    """

    def __init__(self, config: ArmConfig | None = None, *, seed: int = 0) -> None:
        try:
            import mujoco
        except ImportError as error:
            raise MissingExtra("mujoco", extra="sim") from error
        self.config = config or ArmConfig()
        self._step = mujoco.mj_step
        self._model: mujoco.MjModel = mujoco.MjModel.from_xml_string(mjcf(self.config))
        self._new_data = mujoco.MjData
        self._data: mujoco.MjData = mujoco.MjData(self._model)
        self._random = np.random.default_rng(seed)
        self._ahead_ns = 0
        self._forward = mujoco.mj_forward
        self.reset()

    def reset(self, q: ArrayLike = HOME_RAD) -> None:
        """Put the arm at rest at joint angles `q` [3] in rad, time zero."""
        self._data.time = 0.0
        self._data.qvel[:] = 0.0
        self._data.qpos[:] = np.asarray(q, dtype=np.float64)
        self._data.ctrl[:] = self._data.qpos
        self._data.xfrc_applied[:] = 0.0
        self._time_ns = 0
        self._ahead_ns = 0
        self._forward(self._model, self._data)

    def step(self, command: ArrayLike, dt_ns: int) -> None:
        """Hold a command for a while.

        `command` is [3] joint position targets in rad; `dt_ns` need not be a multiple of the physics step,
        the remainder carries over. Raises ValueError for a command that is not three finite numbers, or a
        negative time.
        """
        target = np.asarray(command, dtype=np.float64)
        if target.shape != (3,) or not np.isfinite(target).all():
            raise ValueError(f"expected 3 finite joint targets in rad, got {command!r}")
        if dt_ns < 0:
            raise ValueError(f"expected a time of at least 0 ns, got {dt_ns}")
        self._data.ctrl[:] = target
        steps, self._ahead_ns = divmod(self._ahead_ns + dt_ns, self.config.physics_step_ns)
        if steps:
            self._step(self._model, self._data, nstep=steps)
        self._time_ns += dt_ns

    def push(self, force_n: tuple[float, float]) -> None:
        """Push the middle of the last link with a force in N in the table frame, until another is set."""
        self._data.xfrc_applied[-1, :2] = force_n

    def fork(self) -> ArmSim:
        """An independent arm in the same state: what would happen if."""
        other = copy.copy(self)
        other._data = self._new_data(self._model)
        other._data.qpos[:], other._data.qvel[:] = self._data.qpos, self._data.qvel
        other._data.ctrl[:], other._data.time = self._data.ctrl, self._data.time
        other._data.xfrc_applied[:] = self._data.xfrc_applied
        other._random = copy.deepcopy(self._random)
        return other

    @property
    def time_ns(self) -> int:
        """Simulated time since the last reset."""
        return self._time_ns

    @property
    def q(self) -> NDArray[np.float64]:
        """True joint angles [3] in rad."""
        return np.array(self._data.qpos)

    @property
    def qd(self) -> NDArray[np.float64]:
        """True joint velocities [3] in rad/s."""
        return np.array(self._data.qvel)

    @property
    def tip(self) -> NDArray[np.float64]:
        """Fingertip position [2] in m in the table frame."""
        return np.array(fingertip(self._data.qpos))

    def read(self) -> JointReading:
        """One encoder reading: the true state with the configured noise."""
        noise = self._random.standard_normal((2, 3))
        return JointReading(
            time_ns=self._time_ns,
            position=self._data.qpos + self.config.position_noise_rad * noise[0],
            velocity=self._data.qvel + self.config.velocity_noise_rad_s * noise[1],
        )
