# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The methods of execution that are compared: a strategy, what it knows, and the policy that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lowlat_nodes.train.step_delay import Execution

WHOLE_CHUNK: Final = 25
"""Rows that sync plays in one go: half a second, as in the published reaction times of VLASH."""

FIXED_ROWS: Final = 16


@dataclass(frozen=True)
class Method:
    """One way to execute a policy.

    Attributes:
        summary: What it is, in a few words.
        policy: The trained variant that it asks, see `train.policy`.
        strategy: One of `control.strategies.make.STRATEGIES`.
        roll_forward: One of `train.step_delay.ROLL_FORWARDS`.
        aligned: Whether naive_async enters chunks at the row of the present.
        corrector: The trained corrector on top, if any.
        guidance: How `rtc` takes the Jacobian, `vjp` or `identity`.
        rows: Rows of a chunk that are executed; 0 as many as an inference takes steps, at least one.
        foresees: Whether it gets its answers without any delay: nothing real can.
        headline: Whether it is compared at all delays, and in quick runs.
    """

    summary: str
    policy: str
    strategy: str
    roll_forward: str = "none"
    aligned: bool = False
    corrector: str = ""
    guidance: str = "vjp"
    rows: int = 0
    foresees: bool = False
    headline: bool = True

    @property
    def plain(self) -> bool:
        """Whether it asks at every step for what it does next, and for nothing else, were there no delay."""
        asks = self.strategy in ("naive_async", "vlash", "vlash_delay_conditioned", "sync")
        return asks and not self.rows and not self.corrector

    def execution(self, delay_steps: int, jitter_steps: int = 0) -> Execution:
        """Return it for inferences of so many steps, and up to so many more; one of those is allowed for."""
        sync = self.strategy == "sync"
        rows = self.rows or (max(1, delay_steps) if sync else 0)
        if self.foresees:
            delay_steps = jitter_steps = 0
        return Execution(
            self.strategy,
            self.roll_forward,
            aligned=self.aligned,
            delay_steps=delay_steps,
            jitter_steps=jitter_steps,
            margin_steps=min(1, jitter_steps),
            rows=rows,
            launch="just_in_time" if self.rows and not sync else "back_to_back",
        )


METHODS: Final[Mapping[str, Method]] = {
    "oracle": Method("zero latency, replans as often as inference would take", "base", "sync", foresees=True),
    "sync": Method("thinks, then plays 25 rows", "base", "sync", rows=WHOLE_CHUNK),
    "sync_short": Method("thinks, then plays as long as it thought", "base", "sync", headline=False),
    "naive_async": Method("chunk from the state at launch, row 0 on arrival", "base", "naive_async"),
    "naive_aligned": Method("the same, from the row that is due", "base", "naive_async", aligned=True),
    "temporal_ensemble": Method("ACT's average of all chunks", "base", "temporal_ensemble", headline=False),
    "rtc": Method("guided inpainting, true Jacobian", "base", "rtc"),
    "rtc_identity": Method(
        "guided, without the Jacobian", "base", "rtc", guidance="identity", headline=False
    ),
    "rtc_trained": Method("clean prefix in training", "prefix", "rtc_trained"),
    "rollforward_last_action": Method(
        "state = last command, untrained", "base", "vlash", "last_action", headline=False
    ),
    "rollforward_actuator": Method("state by the drive model, untrained", "base", "vlash", "actuator"),
    "vlash_last_action": Method("as VLASH's code", "vlash_last_action", "vlash", "last_action"),
    "vlash_recorded_last_action": Method(
        "as VLASH's code, trained on recorded states", "vlash", "vlash", "last_action"
    ),
    "vlash_sum_deltas": Method("as VLASH's paper", "vlash", "vlash", "sum_deltas", headline=False),
    "vlash_actuator": Method("state by the drive model", "vlash", "vlash", "actuator"),
    "vlash_perfect": Method("state by the simulator itself", "vlash", "vlash", "perfect", headline=False),
    "delay_conditioned": Method("and the delay is an input", "delay", "vlash_delay_conditioned", "actuator"),
    "a2c2": Method(
        "naive_aligned and a residual head", "base", "naive_async", aligned=True, corrector="corrector_base"
    ),
    "ours": Method(
        "delay_conditioned and a residual head",
        "delay",
        "vlash_delay_conditioned",
        "actuator",
        corrector="corrector_delay",
    ),
    "naive_aligned_16": Method(
        "16 rows of each chunk", "base", "naive_async", aligned=True, rows=FIXED_ROWS, headline=False
    ),
    "rtc_16": Method("16 rows of each chunk", "base", "rtc", rows=FIXED_ROWS, headline=False),
    "vlash_actuator_16": Method(
        "16 rows of each chunk", "vlash", "vlash", "actuator", rows=FIXED_ROWS, headline=False
    ),
}
