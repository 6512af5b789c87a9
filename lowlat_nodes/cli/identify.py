# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat identify`: fits the actuator model of a robot to a bag of its commands and joint states."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.motion import read_motion
from lowlat_nodes.control.actuator import save_actuators
from lowlat_nodes.control.identify import STEP_NS, Identification, identify
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag import BagReader

_JUDGED_STEPS = 8


def main(argv: Sequence[str]) -> int:
    """Run `lowlat identify`.

    Args:
        argv: The arguments after `identify`.

    Returns:
        0; whatever is wrong with the bag or the motion in it is raised.
    """
    options = _parser().parse_args(argv)
    names = tuple(options.joints.split(",")) if options.joints else ()
    if options.output is not None and not options.output.parent.is_dir():
        raise ConfigurationError(
            f"-o {options.output}: expected a folder, there is no {options.output.parent}"
        )
    with BagReader(options.bag) as bag:
        motion, left_out = read_motion(bag, options.commands, options.states, names)
        remarks = [*bag.damage, *(f"left out {count}: {why}" for why, count in left_out.snapshot().items())]
    counts = f"{len(motion.command_ns)} commands, {len(motion.state_ns)} states"
    remarks.append(f"{counts} of {', '.join(motion.joints)}; fitting takes some seconds per joint")
    print("\n".join(remarks), file=sys.stderr)
    found = identify(motion, holdout=options.holdout)
    if options.output is not None:
        save_actuators(options.output, found.model)
        print(f"wrote {options.output}: a policy node takes it as roll_forward.model_file", file=sys.stderr)
    if options.json:
        print(json.dumps(report(found)))
    else:
        print(table(found))
    return 0


def report(found: Identification) -> dict[str, Any]:
    """Return the figures of an identification as JSON has them."""
    drives = {
        name: {
            "lag_ms": fit.drive.lag_ms,
            "lag_error_ms": round(fit.lag_error_ms, 3),
            "velocity_lag_ms": fit.drive.velocity_lag_ms,
            "natural_frequency_rad_s": _finite(fit.drive.natural_frequency_rad_s),
            "damping_ratio": _finite(fit.drive.damping_ratio),
            "dead_time_ms": fit.drive.dead_time_ms,
            "dead_time_error_ms": round(fit.dead_time_error_ms, 3),
            "offset": fit.drive.offset,
            "velocity_limit": fit.drive.velocity_limit or None,
            "acceleration_limit": fit.drive.acceleration_limit or None,
            "rms": fit.rms,
        }
        for name, fit in found.fits.items()
    }
    horizons = [
        {
            "steps": horizon.steps,
            "horizon_ms": horizon.steps * STEP_NS * 1e-6,
            "model_rms": horizon.model,
            "last_action_rms": horizon.last_action,
            "sum_deltas_rms": horizon.sum_deltas,
            "ratio_vs_last_action": _finite(horizon.ratio),
            "ratio_vs_last_action_by_joint": dict(horizon.joints),
        }
        for horizon in found.horizons
    ]
    judged = next(horizon for horizon in found.horizons if horizon.steps == _JUDGED_STEPS)
    return {
        "joints": drives,
        "horizons": horizons,
        f"h{_JUDGED_STEPS}_error_ratio_vs_last_action": _finite(judged.ratio),
    }


def table(found: Identification) -> str:
    """Return the figures of an identification as text."""
    wide = max(len(name) for name in (*found.fits, "joint"))
    head = "lag ms      +-  vel. lag ms  dead time ms      +-    offset  top speed  top acc.      rms"
    lines = [f"{'joint':<{wide}}  {head}"]
    for name, fit in found.fits.items():
        drive = fit.drive
        lines.append(
            f"{name:<{wide}}  {drive.lag_ms:6.1f}  {fit.lag_error_ms:6.1f}  {drive.velocity_lag_ms:11.1f}"
            f"  {drive.dead_time_ms:12.1f}  {fit.dead_time_error_ms:6.1f}  {drive.offset:8.4f}"
            f"  {_limit(drive.velocity_limit):>9}  {_limit(drive.acceleration_limit):>8}  {fit.rms:7.5f}"
        )
    lines += ["", "position error (rms) on the part that was not fitted:"]
    lines.append("  ahead ms     model  last action  sum of deltas  model / last action")
    lines += [
        f"  {horizon.steps * STEP_NS * 1e-6:8.0f}  {horizon.model:8.5f}  {horizon.last_action:11.5f}"
        f"  {horizon.sum_deltas:13.5f}  {horizon.ratio:19.3f}"
        for horizon in found.horizons
    ]
    return "\n".join(lines)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _limit(value: float) -> str:
    return f"{value:.2f}" if value else "-"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lowlat identify", description=__doc__)
    parser.add_argument("bag", type=Path, help="rosbag2 directory, .mcap or .db3 file")
    parser.add_argument(
        "--commands", required=True, metavar="TOPIC", help="Float64MultiArray or JointTrajectory"
    )
    parser.add_argument("--states", required=True, metavar="TOPIC", help="JointState")
    parser.add_argument(
        "--joints", metavar="A,B,...", help="joints, in the order of Float64MultiArray commands"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the model as YAML")
    parser.add_argument(
        "--holdout",
        type=_share,
        default=0.3,
        metavar="SHARE",
        help="share at the end that is judged, not fitted",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, got {text!r}")
    return value
