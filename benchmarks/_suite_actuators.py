# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The drive model of the control suite: fitted to one bag of the simulated arm, judged on another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.cli.motion import read_motion
from lowlat_nodes.control.actuator import save_actuators
from lowlat_nodes.control.identify import Motion, identify, judge, slopes
from lowlat_nodes.sim.arm import HOME_RAD, JOINT_RANGE_RAD, ArmSim
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.stream.payload import NO_FLOATS, Joints
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter

SECONDS = 40.0
_COMMAND_NS, _STATE_NS, _EPOCH_NS = 20_000_000, 4_000_000, 1_700_000_000_000_000_000
_ARRAY, _STATE = "std_msgs/msg/Float64MultiArray", "sensor_msgs/msg/JointState"
_JUDGED_STEPS = 8


def fit(folder: Path, model: Path) -> dict[str, Any]:
    """Record two bags, fit the drives to one, write the model, and return its errors on the other."""
    motions = []
    for seed in (1, 2):
        bag = folder / f"motion{seed}.mcap"
        if not bag.exists():
            record(bag, seed)
        with BagReader(bag) as reader:
            motions.append(read_motion(reader, "/commands", "/states")[0])
    fitted, other = motions
    found = identify(fitted)
    save_actuators(model, found.model)
    errors = {horizon.steps: horizon for horizon in judge(found.model, other, _velocity(other), 0)}
    judged = errors[_JUDGED_STEPS]
    return {
        f"h{_JUDGED_STEPS}_error_ratio_vs_last_action": judged.ratio,
        f"h{_JUDGED_STEPS}_model_rms_rad": judged.model,
        f"h{_JUDGED_STEPS}_last_action_rms_rad": judged.last_action,
        f"h{_JUDGED_STEPS}_sum_deltas_rms_rad": judged.sum_deltas,
        "one_step_error_ratio_vs_last_action": errors[1].ratio,
        "lag_ms": {name: fit.drive.lag_ms for name, fit in found.fits.items()},
    }


def record(path: Path, seed: int, *, seconds: float = SECONDS, moving: Sequence[str] = JOINT_NAMES) -> None:
    """Record the arm while some of its joints go to new places, in jumps or in swings."""
    arm, random = ArmSim(seed=seed), np.random.default_rng(seed)
    low, high = np.array(JOINT_RANGE_RAD).T
    middle, reach = (low + high) / 2, 0.4 * (high - low)
    steps = round(seconds * 1e9 / _COMMAND_NS)
    commands = np.tile(HOME_RAD, (steps, 1))
    for joint in map(JOINT_NAMES.index, moving):
        row = 0
        while row < steps:
            stretch = slice(row, row + random.integers(10, 60))
            time_s = np.arange(len(commands[stretch])) * _COMMAND_NS * 1e-9
            swing = 0.6 * np.sin(2 * np.pi * random.uniform(0.3, 1.2) * time_s)
            share = swing if random.random() < 0.5 else random.uniform(-1.0, 1.0)
            commands[stretch, joint] = middle[joint] + reach[joint] * share
            row = stretch.stop
    writer = BagWriter(path)
    for command in commands:
        writer.write("/commands", _ARRAY, _EPOCH_NS + arm.time_ns, cdr.encode(_ARRAY, 0, "", command))
        for _ in range(_COMMAND_NS // _STATE_NS):
            reading = arm.read()
            stamp_ns = _EPOCH_NS + reading.time_ns
            joints = Joints(JOINT_NAMES, reading.position, reading.velocity, NO_FLOATS)
            received_ns = stamp_ns + int(random.integers(0, 2_000_000))
            writer.write("/states", _STATE, received_ns, cdr.encode(_STATE, stamp_ns, "", joints))
            arm.step(command, _STATE_NS)
    writer.close()


def _velocity(motion: Motion) -> Any:
    return motion.velocity if len(motion.velocity) else slopes(motion.state_ns, motion.position)
