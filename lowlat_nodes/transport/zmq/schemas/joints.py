# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `joint_state` and `trajectory`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowlat_nodes.stream.payload import Joints, Trajectory
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.schemas.schema import (
    Arrays,
    Details,
    Schema,
    checked_names,
    checked_whole,
    expect_forms,
)

_F8, _I8 = np.dtype("<f8"), np.dtype("<i8")
_NOT_GIVEN = (0,)


def _take_joints(payload: Joints) -> tuple[Details, Arrays]:
    names = checked_names("joint_state", payload.names)
    arrays: Arrays = [payload.position, payload.velocity, payload.effort]
    _check_joints(names, arrays)
    return {"names": names}, arrays


def _put_joints(fields: Mapping[str, Any], arrays: Arrays) -> Joints:
    names = checked_names("joint_state", fields.get("names"))
    _check_joints(names, arrays)
    return Joints(names, *arrays)


def _check_joints(names: tuple[str, ...], arrays: Arrays) -> None:
    shapes = ((len(names),), _NOT_GIVEN)
    fits = len(arrays) == 3 and all(array.dtype == _F8 and array.shape in shapes for array in arrays)
    expect_forms("joint_state", arrays, f"3 arrays of <f8 [{len(names)}] or [0]", fits=fits)


def _take_trajectory(payload: Trajectory) -> tuple[Details, Arrays]:
    names = checked_names("trajectory", payload.names)
    start_ns = checked_whole("trajectory", {"start_ns": payload.start_ns}, "start_ns")
    arrays: Arrays = [
        payload.time_from_start_ns,
        payload.positions,
        payload.velocities,
        payload.accelerations,
    ]
    _check_trajectory(names, arrays)
    return {"names": names, "start_ns": start_ns}, arrays


def _put_trajectory(fields: Mapping[str, Any], arrays: Arrays) -> Trajectory:
    names = checked_names("trajectory", fields.get("names"))
    start_ns = checked_whole("trajectory", fields, "start_ns")
    _check_trajectory(names, arrays)
    return Trajectory(names, start_ns, *arrays)


def _check_trajectory(names: tuple[str, ...], arrays: Arrays) -> None:
    rows = arrays[0].size if arrays else 0
    table = (rows, len(names))
    fits = (
        len(arrays) == 4
        and (arrays[0].dtype, arrays[0].shape) == (_I8, (rows,))
        and (arrays[1].dtype, arrays[1].shape) == (_F8, table)
        and all(array.dtype == _F8 and array.shape in (table, _NOT_GIVEN) for array in arrays[2:])
    )
    expected = f"<i8 [n], <f8 [n, {len(names)}], and twice <f8 [n, {len(names)}] or [0]"
    expect_forms("trajectory", arrays, expected, fits=fits)
    times = arrays[0]
    if np.any(times[1:] <= times[:-1]):
        raise WireError(f"trajectory: expected times that increase, got {times[:8].tolist()} ns")


JOINT_STATE = Schema("joint_state", Joints, _take_joints, _put_joints)
TRAJECTORY = Schema("trajectory", Trajectory, _take_trajectory, _put_trajectory)
