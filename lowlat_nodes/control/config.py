# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All parameters of policy execution, and the control loop that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowlat_nodes.control.contract import CommandConfig, ObservationConfig
from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.ensemble import TemporalEnsemble
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, LoopSettings
from lowlat_nodes.control.miss import MISS_POLICIES, MissPolicy
from lowlat_nodes.control.policies.corrector import CorrectorConfig
from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.control.rollforward import ROLL_FORWARDS, make_roll_forward
from lowlat_nodes.control.strategies.auto import Circumstances
from lowlat_nodes.control.strategies.make import (
    CORRECTED,
    LAUNCHES,
    PROJECTING,
    STRATEGIES,
    make_strategy,
)
from lowlat_nodes.control.strategies.strategy import Strategy
from lowlat_nodes.control.urdf import limits_from_urdf
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError

_HISTORY_NS = 2_000_000_000  # commands that a roll-forward can look back on


@dataclass(frozen=True)
class ExecutionConfig:
    """How chunks are asked for and executed."""

    strategy: str = setting("auto", doc="When to infer and what to assume.", choices=STRATEGIES)
    launch: str = setting(
        "back_to_back",
        doc="When an asynchronous strategy asks: after each answer, or just before the plan runs out.",
        choices=LAUNCHES,
    )
    margin_ticks: int = setting(1, doc="Slack on the estimated delay.", unit="ticks", low=0, high=1000)
    naive_aligned: bool = setting(
        False, doc="naive_async enters a chunk at the row of the present instead of row 0."
    )
    ensemble_decay: float = setting(
        0.01, doc="temporal_ensemble weighs the i-th oldest chunk with exp(-decay i).", low=0.0, high=100.0
    )
    change_threshold: float = setting(
        0.0,
        doc="A scene changed abruptly, and the policy is asked at once, when something appears or goes whose "
        "colour differs by more than this (of 255); 40 is a good one; 0: nothing is watched for.",
        low=0.0,
        high=255.0,
    )
    merge: int = setting(
        1, doc="Fine actions merged into one macro action (action quantisation).", low=1, high=64
    )
    rows: int = setting(0, doc="Rows of a chunk that may be executed; 0 for all.", low=0, high=10_000)
    late: str = setting("trim", doc="What becomes of a chunk that comes late.", choices=("trim", "discard"))
    max_late_ms: float = setting(
        0.0, doc="Lateness beyond which it is discarded; 0: never.", unit="ms", low=0.0
    )
    delay_window: int = setting(40, doc="Inferences over which the delay is estimated.", low=1, high=10_000)
    delay_quantile: float = setting(
        0.9, doc="Share of inferences that should be in time.", low=0.01, high=1.0
    )


@dataclass(frozen=True)
class MissConfig:
    """What happens while there is no chunk."""

    policy: str = setting("decay", doc="Motion while a chunk is missing.", choices=MISS_POLICIES)
    deadline_ms: float = setting(200.0, doc="How long `continue` may go on.", unit="ms", low=0.0)
    decay_ms: float = setting(80.0, doc="Time constant of the decay to a stop.", unit="ms", low=1.0)


@dataclass(frozen=True)
class RollForwardConfig:
    """How the state at the time of execution is predicted."""

    kind: str = setting("last_action", doc="Prediction of the state.", choices=ROLL_FORWARDS)
    model_file: str = setting("", doc="YAML written by `lowlat identify`, for kind actuator.")


@dataclass(frozen=True)
class LimitsConfig(JointLimits):
    """Joint limits; those of a URDF where a parameter is empty."""

    urdf: str = setting("", doc="Path of a URDF file to read position and velocity limits from.")


@dataclass(frozen=True)
class ControlConfig:
    """Everything about executing a policy on a robot."""

    tick_hz: float = setting(100.0, doc="Rate of commands.", unit="Hz", low=1.0, high=2000.0)
    policy: PolicyConfig = section(PolicyConfig, doc="The policy.")
    observation: ObservationConfig = section(ObservationConfig, doc="What the policy sees.")
    command: CommandConfig = section(CommandConfig, doc="What the robot gets.")
    execution: ExecutionConfig = section(ExecutionConfig, doc="Chunks in time.")
    corrector: CorrectorConfig = section(CorrectorConfig, doc="Correction of the plan at every tick.")
    miss: MissConfig = section(MissConfig, doc="Ticks without a chunk.")
    roll_forward: RollForwardConfig = section(RollForwardConfig, doc="Future-state awareness.")
    limits: LimitsConfig = section(LimitsConfig, doc="Safety limits.")

    def __post_init__(self) -> None:
        if self.observation.align == "image" and self.execution.strategy in PROJECTING:
            raise ConfigurationError(
                f"observation.align: image shows the policy the state of the past, "
                f"{self.execution.strategy} that of the future; expected newest, or another "
                f"execution.strategy than {', '.join(PROJECTING)}"
            )

        if self.execution.strategy == "pipelined" and self.policy.workers < 2:
            raise ConfigurationError(
                "policy.workers: pipelined has several inferences under way, one per process of the policy; "
                "expected 2 or more and a core for each, or execution.strategy vlash; got 1"
            )
        if self.execution.strategy in CORRECTED and not self.corrector.model:
            raise ConfigurationError(
                f"execution.strategy: {self.execution.strategy} needs a corrector; give corrector.model"
            )
        if self.corrector.model and self.command.kind == "chunk":
            raise ConfigurationError(
                "corrector.model: a correction is for one tick, and with command.kind chunk the robot gets "
                "whole motions; expected positions or point, or no corrector"
            )

    @property
    def tick_ns(self) -> int:
        """Return the time between ticks."""
        return round(1e9 / self.tick_hz)


def build_loop(config: ControlConfig, spec: PolicySpec) -> ControlLoop:
    """Make the control loop that the parameters describe, for a policy.

    Raises:
        ConfigurationError: If they do not fit each other or the policy.
    """
    joints = len(spec.delta)
    execution = config.execution
    if execution.rows * execution.merge > spec.horizon:
        raise ConfigurationError(
            f"execution: {execution.rows} rows of {execution.merge} merged actions need a horizon of "
            f"{execution.rows * execution.merge}, the policy's is {spec.horizon}"
        )
    strategy = make_strategy(
        execution.strategy,
        launch=execution.launch,
        margin_ticks=execution.margin_ticks,
        naive_aligned=execution.naive_aligned,
        slots=config.policy.workers,
        kept_slots=1 if execution.change_threshold and config.policy.workers > 2 else 0,
        circumstances=_circumstances(config, spec),
    )
    _check_needs(strategy, execution, spec)
    limits: JointLimits = config.limits
    if config.limits.urdf:
        limits = limits_from_urdf(Path(config.limits.urdf), config.observation.joints.names, config.limits)
    tick_ns = config.tick_ns
    return ControlLoop(
        LoopSettings(
            tick_ns=tick_ns,
            action_ns=spec.action_period_ns,
            delta=np.array(spec.delta),
            merge=execution.merge,
            execution_rows=execution.rows,
            state_timeout_ns=round(config.observation.joints.timeout_ms * 1e6),
            tracking_tolerance=config.command.tracking_tolerance,
            trajectories=config.command.kind == "chunk",
            correction_timeout_ns=round(config.corrector.timeout_ms * 1e6),
            max_correction=config.corrector.max_correction,
            horizon=spec.horizon,
        ),
        strategy,
        ChunkExecutor(trim_late=execution.late == "trim", max_late_ns=round(execution.max_late_ms * 1e6)),
        make_roll_forward(
            config.roll_forward.kind,
            joints=config.observation.joints.names,
            model_file=config.roll_forward.model_file,
        ),
        MissPolicy(
            config.miss.policy,
            deadline_ns=round(config.miss.deadline_ms * 1e6),
            decay_ns=round(config.miss.decay_ms * 1e6),
        ),
        Limiter(limits, joints),
        DelayEstimator(window=execution.delay_window, quantile=execution.delay_quantile),
        ensemble=(
            TemporalEnsemble(decay=execution.ensemble_decay)
            if execution.strategy == "temporal_ensemble"
            else None
        ),
        history_ticks=max(64, _HISTORY_NS // tick_ns),
    )


def _circumstances(config: ControlConfig, spec: PolicySpec) -> Circumstances:
    """Return what `auto` chooses by."""
    accepts = frozenset(spec.accepts)
    if config.execution.merge > 1:  # the plan is made of other rows than the policy's
        accepts -= {"prefix"}
    obstacle = ""
    if "position" not in spec.state_fields:
        obstacle = "the policy sees no joint positions that could be rolled forward"
    elif config.observation.align == "image":
        obstacle = "observation.align shows the state of the past"
    elif config.roll_forward.kind != "actuator":
        obstacle = "there is no model of the drives, which lowlat identify makes"
    return Circumstances(spec.action_period_ns, accepts, obstacle)


def _check_needs(strategy: Strategy, execution: ExecutionConfig, spec: PolicySpec) -> None:
    missing = sorted(strategy.needs - set(spec.accepts))
    if missing:
        raise ConfigurationError(
            f"execution.strategy: {execution.strategy} needs a policy that accepts {', '.join(missing)}; "
            f"this one accepts {', '.join(spec.accepts) or 'nothing of the kind'}"
        )
    if execution.merge > 1 and strategy.needs & {"prefix", "guidance"}:
        raise ConfigurationError(
            f"execution.merge: expected 1 with {execution.strategy}, whose policy continues the plan row by "
            f"row, got {execution.merge}"
        )
