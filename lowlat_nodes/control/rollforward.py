# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the robot will be when a chunk that is asked for now begins to be executed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lowlat_nodes.control.actuator import load_actuators
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

ROLL_FORWARDS = ("none", "last_action", "sum_deltas", "actuator")
"""The kinds by their parameter names."""


class RollForward(Protocol):
    """Projects a measured state over commands that are already decided."""

    def project(
        self, state: RobotState, past: Floats, commands: Floats, step_ns: int, first_ns: int
    ) -> RobotState:
        """Return the state after `commands` have been executed.

        Args:
            state: The newest measured state, somewhere in the step of `commands[0]`.
            past: float64 [m, joints], m >= 1: position targets of the m steps before that one, oldest first.
                What is still under way in a drive with dead time is in here.
            commands: float64 [n, joints], n >= 0: position targets of that step and those after it.
            step_ns: Length of a step.
            first_ns: What is left of the first one after `state`, from 1 to `step_ns`.

        Returns:
            The state at the end of the last step.
        """
        ...


class NoRollForward:
    """The measured state, as if the robot stood still: what naive asynchronous inference assumes."""

    def project(
        self,
        state: RobotState,
        past: Floats,  # noqa: ARG002
        commands: Floats,
        step_ns: int,
        first_ns: int,
    ) -> RobotState:
        """Return the measured position and velocity under the later stamp."""
        return RobotState(state.later_ns(len(commands), step_ns, first_ns), state.position, state.velocity)


class LastAction:
    """The last decided target, as if the robot were always where it is told to be.

    What the published code of VLASH does (arXiv 2512.01031): `vlash/run.py` puts the last action of the
    running chunk in the place of the state; the paper describes `SumDeltas`. Exact for a drive without lag.
    """

    def project(
        self, state: RobotState, past: Floats, commands: Floats, step_ns: int, first_ns: int
    ) -> RobotState:
        """Return the last command as position, and its difference to the one before as velocity."""
        if not len(commands):
            return state
        before = commands[-2] if len(commands) > 1 else past[-1]
        velocity = (commands[-1] - before) * (1e9 / step_ns)
        return RobotState(state.later_ns(len(commands), step_ns, first_ns), commands[-1].copy(), velocity)


class SumDeltas:
    """The measured state plus the sum of the decided motions.

    The projection that the VLASH paper describes (arXiv 2512.01031): the state plus the actions still to be
    executed, which are differences there. Targets here are absolute, so the sum is the last target minus the
    one in effect at the measurement, which may lie between two: whatever the robot lags behind now, it is
    taken to lag behind then.
    """

    def project(
        self, state: RobotState, past: Floats, commands: Floats, step_ns: int, first_ns: int
    ) -> RobotState:
        """Return the position displaced as the targets will be, and the velocity of the last target."""
        if not len(commands):
            return state
        before = commands[-2] if len(commands) > 1 else past[-1]
        # Of the first motion, what is left of its step.
        effect = commands[0] - (commands[0] - past[-1]) * (first_ns / step_ns)
        return RobotState(
            state.later_ns(len(commands), step_ns, first_ns),
            state.position + (commands[-1] - effect),
            (commands[-1] - before) * (1e9 / step_ns),
        )


def make_roll_forward(kind: str, *, joints: Sequence[str] = (), model_file: str = "") -> RollForward:
    """Return a roll-forward by its parameter name.

    Args:
        kind: One of `ROLL_FORWARDS`.
        joints: Joint names in the order of the command contract; for `actuator`.
        model_file: A file that `lowlat identify` wrote; for `actuator`.

    Raises:
        ConfigurationError: If the kind is unknown, or the file does not describe these joints.
    """
    if kind == "none":
        return NoRollForward()
    if kind == "last_action":
        return LastAction()
    if kind == "sum_deltas":
        return SumDeltas()
    if kind == "actuator":
        if not model_file:
            raise ConfigurationError(
                "roll_forward.model_file: expected an actuator model; make one with: lowlat identify"
            )
        return load_actuators(Path(model_file), joints)
    raise ConfigurationError(f"roll_forward: expected one of {', '.join(ROLL_FORWARDS)}, got {kind!r}")
