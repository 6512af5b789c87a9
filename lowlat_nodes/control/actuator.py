# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How position drives follow their commands: lag, dead time, limits and load, joint by joint."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.config import build, setting, to_flat
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

# A file of one model takes a few lines per joint.
_LARGEST_FILE = 1 << 20
# Where a limit may bind, steps are cut to this share of the lag; the corners of a motion are exact to 0.5 %.
_SHARE_OF_LAG = 0.125


@dataclass(frozen=True)
class JointActuator:
    """The drive of one joint: a position loop around a velocity loop, behind a dead time.

    With u the command and q the position, the position loop wants the velocity (u + offset - q) / lag, at
    most `velocity_limit`; the velocity follows it with `velocity_lag`, and changes by `acceleration_limit` at
    most. Without a velocity lag the drive is of first order. With it, it is of second order,
    q'' = w^2 (u + offset - q) - 2 z w q' where w = 1 / sqrt(lag velocity_lag) and
    z = sqrt(lag / velocity_lag) / 2. Behind a ramp it stays by lag + dead time.
    """

    lag_ms: float = setting(doc="Lag of the position loop.", unit="ms", low=0.1, high=60e3)
    velocity_lag_ms: float = setting(
        0.0, doc="Lag of the velocity loop; 0 for none.", unit="ms", low=0.0, high=60e3
    )
    dead_time_ms: float = setting(
        0.0, doc="Time until a command has any effect.", unit="ms", low=0.0, high=10e3
    )
    offset: float = setting(0.0, doc="Where it rests beside its command: gravity, load.", unit="rad")
    velocity_limit: float = setting(0.0, doc="Top speed; 0 for none.", unit="rad/s", low=0.0)
    acceleration_limit: float = setting(0.0, doc="Top acceleration; 0 for none.", unit="rad/s^2", low=0.0)

    @property
    def natural_frequency_rad_s(self) -> float:
        """Return the undamped natural frequency w, inf for a first-order drive."""
        return 1e3 / math.sqrt(self.lag_ms * self.velocity_lag_ms) if self.velocity_lag_ms else math.inf

    @property
    def damping_ratio(self) -> float:
        """Return the damping ratio z, inf for a first-order drive."""
        return 0.5 * math.sqrt(self.lag_ms / self.velocity_lag_ms) if self.velocity_lag_ms else math.inf


@dataclass(frozen=True, slots=True)
class Transition:
    """The exact solution of a drive over an interval with one command; floats, or arrays of one shape.

    With e the distance to the command and v the velocity at the beginning, the position changes by
    `position_gain * e + position_drift * v`, and the velocity becomes
    `velocity_gain * e + velocity_memory * v`.
    """

    position_gain: Any
    position_drift: Any
    velocity_gain: Any
    velocity_memory: Any

    def reach(self, velocity_limit: Any, interval_s: Any) -> Any:
        """Return the distance e at which a steady motion has the limit's speed: none further away matters."""
        steady = self.velocity_gain / (1.0 - self.velocity_memory)
        return velocity_limit * interval_s / (self.position_gain + self.position_drift * steady)


def discretise(lag_s: Any, velocity_lag_s: Any, interval_s: Any) -> Transition:
    """Solve the drive without its limits: the matrix exponential in closed form.

    Args:
        lag_s: Above 0.
        velocity_lag_s: At least 0.
        interval_s: Above 0. All three broadcast.
    """
    lag, velocity_lag, interval = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (lag_s, velocity_lag_s, interval_s))
    )
    # Below this share of the lag, the second pole is not seen in a position; it would only cost precision.
    first_order = velocity_lag < 1e-6 * lag
    second = np.where(first_order, lag, velocity_lag)
    decay = 0.5 / second
    square = 1.0 / (lag * second)
    discriminant = decay * decay - square
    root = np.sqrt(np.abs(discriminant))
    turn = np.maximum(root * interval, 1e-100)
    # Two real poles, or a complex pair; in a form that stays exact where they meet.
    slow, envelope = np.exp(-square / (decay + root) * interval), np.exp(-decay * interval)
    real = discriminant > 0.0
    cosine = np.where(real, 0.5 * slow * (1.0 + np.exp(-2.0 * turn)), envelope * np.cos(turn))
    sine = np.where(real, -0.5 * slow * np.expm1(-2.0 * turn), envelope * np.sin(turn)) * interval / turn
    left = np.exp(-interval / lag)
    return Transition(
        np.where(first_order, 1.0 - left, 1.0 - cosine - decay * sine),
        np.where(first_order, 0.0, sine),
        np.where(first_order, left / lag, square * sine),
        np.where(first_order, 0.0, cosine - decay * sine),
    )


def discretise_trapezoid(lag_s: Any, velocity_lag_s: Any, interval_s: Any) -> Transition:
    """Solve the drive for short intervals such that the position is the integral of a linear velocity.

    Where the acceleration is limited, the velocity may be far from what the position loop wants, and the
    exact solution of the unlimited drive would not tell when they meet. This one does, to second order.
    """
    lag, velocity_lag, interval = (
        np.asarray(value, dtype=np.float64) for value in (lag_s, velocity_lag_s, interval_s)
    )
    with np.errstate(divide="ignore"):
        ratio = interval / velocity_lag
    memory = np.exp(-ratio)
    # How a lag answers to an input that changes linearly over the interval.
    late = (1.0 - memory) / ratio
    half = 0.5 * interval
    moved = (1.0 - late) * half / lag
    velocity_gain = (1.0 - memory) / (lag * (1.0 + moved))
    velocity_memory = (memory - moved) / (1.0 + moved)
    return Transition(half * velocity_gain, half * (1.0 + velocity_memory), velocity_gain, velocity_memory)


class ActuatorModel:
    """The drives of a robot as a roll-forward.

    Exact where no limit binds, also for dead times that are no multiple of a step; where one may bind, long
    steps are cut into shorter ones.

    Args:
        joints: One drive per joint, by name, in the order of the command contract.
    """

    def __init__(self, joints: Mapping[str, JointActuator]) -> None:
        self.joints = dict(joints)
        self._step_ns = 0
        self._parts: list[list[_Part]] = []

    def project(
        self, state: RobotState, past: Floats, commands: Floats, step_ns: int, first_ns: int
    ) -> RobotState:
        """Return the state after `commands`, as `RollForward.project`.

        Commands older than `past`, which a long dead time would ask for, are taken to be its first one.
        """
        drives = tuple(self.joints.values())
        if step_ns != self._step_ns:
            self._parts, self._step_ns = _parts(drives, step_ns, step_ns), step_ns
        # The rest of the step in which the state was measured has parts of its own.
        begun = self._parts if first_ns == step_ns else _parts(drives, step_ns, first_ns)
        # Older commands have had their effect.
        past = past[-1 - max(part.back for part in chain(*self._parts)) :]
        first, last = len(past), len(past) + len(commands)
        columns = np.concatenate([past, commands]).T.tolist()
        positions, velocities = state.position.tolist(), state.velocity.tolist()
        # Plain floats: at the size of a robot they are faster than arrays.
        for joint, drive in enumerate(drives):
            column, q, v, offset = columns[joint], positions[joint], velocities[joint], drive.offset
            parts = begun[joint]
            for step in range(first, last):
                for back, gain, drift, pull, memory, reach, change, half_s in parts:
                    e = column[step - back if step > back else 0] + offset - q
                    if not -reach <= e <= reach:
                        e = reach if e > 0.0 else -reach
                    new = pull * e + memory * v
                    if -change <= new - v <= change:
                        q += gain * e + drift * v
                    else:
                        new = v + change if new > v else v - change
                        q += half_s * (v + new)
                    v = new
                parts = self._parts[joint]
            positions[joint], velocities[joint] = q, v
        return RobotState(
            state.later_ns(len(commands), step_ns, first_ns), np.array(positions), np.array(velocities)
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data, as a file holds it."""
        return {"joints": {name: to_flat(joint) for name, joint in self.joints.items()}}

    @classmethod
    def from_mapping(cls, values: object, joints: Sequence[str]) -> ActuatorModel:
        """Make the model of some joints from plain data.

        Args:
            values: What `to_mapping` returned, of these joints and perhaps others.
            joints: The joints of the model, in its order.

        Raises:
            ConfigurationError: If a joint is missing, or a value is unknown, missing or out of range.
        """
        drives = values.get("joints") if isinstance(values, Mapping) else None
        if not isinstance(drives, Mapping):
            raise ConfigurationError("expected a mapping 'joints' from joint names to drives")
        for name in joints:
            if name not in drives:
                nearest = difflib.get_close_matches(name, [str(key) for key in drives], 1)
                hint = (
                    f"did you mean {nearest[0]!r}?" if nearest else f"it has: {', '.join(map(str, drives))}"
                )
                raise ConfigurationError(f"it does not describe the joint {name!r}; {hint}")
        return cls({name: _joint(name, drives[name]) for name in joints})


def load_actuators(path: Path, joints: Sequence[str]) -> ActuatorModel:
    """Read the model of some joints from a YAML file, as `lowlat identify` writes it.

    Raises:
        ConfigurationError: If the file cannot be read or does not describe these joints.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read the actuator model: {error}") from error
    if len(text) > _LARGEST_FILE:
        raise ConfigurationError(f"actuator model {path}: expected at most {_LARGEST_FILE} bytes")
    try:
        return ActuatorModel.from_mapping(yaml.safe_load(text), joints)
    except (yaml.YAMLError, ConfigurationError) as error:
        raise ConfigurationError(f"actuator model {path}: {error}") from error


def save_actuators(path: Path, model: ActuatorModel) -> None:
    """Write a model to a YAML file.

    Raises:
        ConfigurationError: If nothing can be written there.
    """
    import yaml

    try:
        path.write_text(yaml.safe_dump(model.to_mapping(), sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write the actuator model: {error}") from error


def _joint(name: str, values: object) -> JointActuator:
    if not isinstance(values, Mapping) or not all(
        isinstance(value, (int, float)) for value in values.values()
    ):
        raise ConfigurationError(
            f"joint {name!r}: expected a mapping from names to numbers, got {values!r:.80}"
        )
    try:
        return build(JointActuator, {str(key): value for key, value in values.items()})
    except ConfigurationError as error:
        raise ConfigurationError(f"joint {name!r}: {error}") from error


class _Part(NamedTuple):
    """A piece of a step in which one command acts, `back` steps old.

    Its distance e, at most `reach`, and the velocity v give the new position `q + gain * e + drift * v` and
    velocity `pull * e + memory * v`, unless that is a change by more than `change`.
    """

    back: int
    gain: float
    drift: float
    pull: float
    memory: float
    reach: float
    change: float
    half_s: float


def _parts(drives: Sequence[JointActuator], step_ns: int, rest_ns: int) -> list[list[_Part]]:
    """Return the parts of the last `rest_ns` of a step, by drive."""
    lag_s, velocity_lag_s, dead_ns, velocity_limit, acceleration_limit = np.array(
        [
            (
                drive.lag_ms * 1e-3,
                drive.velocity_lag_ms * 1e-3,
                round(drive.dead_time_ms * 1e6),
                drive.velocity_limit or math.inf,
                drive.acceleration_limit or math.inf,
            )
            for drive in drives
        ]
    ).T
    whole, dead_rest_ns = np.divmod(dead_ns, step_ns)
    # Within a step, the older command acts until the dead time of the newer one is over.
    older_ns = np.clip(dead_rest_ns - (step_ns - rest_ns), 0, rest_ns)
    span_s = np.array([older_ns, rest_ns - older_ns]) * 1e-9
    limited = np.minimum(velocity_limit, acceleration_limit) < math.inf
    longest_s = np.where(limited, np.maximum(1e-3, _SHARE_OF_LAG * lag_s), math.inf)
    count = np.where(limited, np.ceil(span_s / longest_s), span_s > 0.0).astype(int)
    interval_s = np.where(count > 0, span_s / np.maximum(count, 1), 1.0)
    half_s, change = 0.5 * interval_s, acceleration_limit * interval_s
    solved = discretise(lag_s, velocity_lag_s, interval_s)
    if (acceleration_limit < math.inf).any():
        short = discretise_trapezoid(lag_s, velocity_lag_s, interval_s)
        solved = Transition(
            *(
                np.where(acceleration_limit < math.inf, getattr(short, name), getattr(solved, name))
                for name in Transition.__slots__
            )
        )
    reach = solved.reach(velocity_limit, interval_s)
    table = np.stack(
        [
            solved.position_gain,
            solved.position_drift,
            solved.velocity_gain,
            solved.velocity_memory,
            reach,
            change,
            half_s,
        ]
    ).T.tolist()
    return [
        [
            _Part(back, *values)
            for back, values, pieces in zip(
                (int(steps) + 1, int(steps)), table[joint], count[:, joint], strict=True
            )
            for _ in range(pieces)
        ]
        for joint, steps in enumerate(whole)
    ]
