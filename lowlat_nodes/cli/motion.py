# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands and joint states of a robot, as a bag holds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.cli.topics import COMMAND_TYPES, STATE_TYPES, check_topic
from lowlat_nodes.control.identify import Motion
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Floats, Joints, Trajectory
from lowlat_nodes.transport.bag import BagReader, Codec

# Header stamps that are further from the bag's time than this are of another clock.
_OTHER_CLOCK_NS = 10_000_000_000

_Row = tuple[int, list[float]]


def read_motion(
    bag: BagReader, commands: str, states: str, names: Sequence[str] = ()
) -> tuple[Motion, Counters]:
    """Return the motion that a bag recorded, and what was left out of it, by reason.

    A command acts from when the recorder received it; a point of a trajectory that has several, from its own
    time until the next point or trajectory. States have the stamp of their header, unless that is of another
    clock.

    Args:
        bag: The bag.
        commands: Topic of std_msgs/Float64MultiArray or trajectory_msgs/JointTrajectory.
        states: Topic of sensor_msgs/JointState.
        names: The joints; where commands have no names, in the order of their values. If empty, the joints of
            the first trajectory or state.

    Raises:
        ConfigurationError: If a topic is missing or of another type, or the joints are not in it.
    """
    for topic, expected in ((commands, COMMAND_TYPES), (states, STATE_TYPES)):
        check_topic(bag, topic, expected)
    left_out = Counters()
    codec, rows, samples = Codec(), _Commands(tuple(names), left_out), list[tuple[int, int, Joints]]()
    for sequence, recorded in enumerate(bag.messages([commands, states])):
        try:
            message = codec.decode(recorded.topic, recorded, sequence)
        except LowlatError:
            left_out.add("cannot be read")
            continue
        if recorded.topic == commands:
            rows.add(message)
        elif message.payload.position.size:
            samples.append((message.trace.capture_ns, message.trace.received_ns, message.payload))
        else:
            left_out.add("states without positions")
    if not rows.rows or not samples:
        raise ConfigurationError(
            f"{bag.path}: expected commands and states, got {len(rows.rows)} and {len(samples)} of use"
        )
    joints = rows.names or samples[0][2].names
    widths = sorted({len(row) for _, row in rows.rows})
    if widths != [len(joints)]:
        raise ConfigurationError(
            f"{commands}: expected a value for each of {len(joints)} joints ({', '.join(joints)}), got "
            f"{' or '.join(map(str, widths))}; name the joints of the commands, in their order, with --joints"
        )
    command_ns, targets = _arrays(rows.rows, left_out)
    state_ns, table = _arrays(_state_rows(samples, joints, left_out), left_out)
    position, velocity = table[:, : len(joints)], table[:, len(joints) :]
    return Motion(
        joints, command_ns, targets, state_ns, position, velocity if velocity.size else _NONE
    ), left_out


_NONE: Floats = np.empty((0, 0))


class _Commands:
    """Targets in the order of their times, with the joints that they are for."""

    def __init__(self, names: tuple[str, ...], left_out: Counters) -> None:
        self.names = names
        self.rows: list[_Row] = []
        self._left_out = left_out

    def add(self, message: Message) -> None:
        now_ns, payload = message.trace.received_ns, message.payload
        if not isinstance(payload, Trajectory):
            self.rows.append((now_ns, payload.tolist()))
            return
        self.names = self.names or payload.names
        if not len(payload.positions) or not set(self.names) <= set(payload.names):
            self._left_out.add("trajectories without points, or without some of the joints")
            return
        rows = payload.positions[:, [payload.names.index(name) for name in self.names]].tolist()
        times = [now_ns]
        if len(rows) > 1:
            times = ((payload.start_ns or now_ns) + payload.time_from_start_ns).tolist()
        # A new trajectory takes the place of what the one before had still to come.
        while self.rows and self.rows[-1][0] >= times[0]:
            self.rows.pop()
        self.rows += zip(times, rows, strict=True)


def _state_rows(
    samples: Sequence[tuple[int, int, Joints]], names: tuple[str, ...], left_out: Counters
) -> list[_Row]:
    """Return positions, followed by velocities where every state has them."""
    known = samples[0][2].names
    if missing := [name for name in names if name not in known]:
        raise ConfigurationError(f"there are no states of {', '.join(missing)}, only of {', '.join(known)}")
    apart = [abs(capture_ns - received_ns) for capture_ns, received_ns, _ in samples]
    received = bool(np.median(apart) > _OTHER_CLOCK_NS)
    moving = all(joints.velocity.size for _, _, joints in samples)
    rows = []
    for capture_ns, received_ns, joints in samples:
        if not set(names) <= set(joints.names):
            left_out.add("states without some of the joints")
            continue
        columns = [joints.names.index(name) for name in names]
        tables = (joints.position, joints.velocity) if moving else (joints.position,)
        values = [value for table in tables for value in table[columns].tolist()]
        rows.append((received_ns if received else capture_ns, values))
    return rows


def _arrays(rows: Sequence[_Row], left_out: Counters) -> tuple[NDArray[np.int64], Floats]:
    """Return times and values in the order of time, without rows that hold NaN or infinities."""
    times = np.array([time_ns for time_ns, _ in rows], dtype=np.int64)
    values = np.array([row for _, row in rows], dtype=np.float64)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        left_out.add("values that are not finite", int(np.sum(~finite)))
    order = np.flatnonzero(finite)[np.argsort(times[finite], kind="stable")]
    return times[order], values[order]
