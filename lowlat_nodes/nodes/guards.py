# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What each node counts of a call, to bound its cost."""

from __future__ import annotations

from lowlat_nodes.control.policies.policy import MOST_STEPS, PolicySpec
from lowlat_nodes.energy.guard import Guard, GuardSettings, GuardState
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.vision.layouts.table import MOST_PAIRS

BOXES, EPOCHS, MS = "boxes", "epochs", "ms"
"""What nodes count."""

FREE_EPOCHS, MOST_EPOCHS = 1000, 20_000
"""Epochs of an alert: 1000 take some 8 times as long as the usual 30, and 20,000 some 100 times."""


def candidate_guard(settings: GuardSettings, max_detections: int, clock: Clock | None = None) -> Guard:
    """Return a guard for the boxes of a frame before suppression, by camera; what is reported is free.

    A camera whose breaker is open is looked at all the same: a robot must not be blinded by a picture.
    """
    return Guard(settings, most=MOST_PAIRS, free=max_detections, while_open="mean", clock=clock)


def epoch_guard(settings: GuardSettings, clock: Clock | None = None) -> Guard:
    """Return a guard for the epochs of an alert, by where it comes from, with a bucket for each survey.

    The other alerts of a source whose breaker is open are classified: none is to be lost.
    """
    return Guard(settings, most=MOST_EPOCHS, free=FREE_EPOCHS, while_open="warn", clock=clock)


def step_guard(settings: GuardSettings, spec: PolicySpec, clock: Clock | None = None) -> Guard:
    """Return a guard for the steps of a request, by client; what is usual for the policy is free."""
    return Guard(settings, most=MOST_STEPS, free=max(1, spec.steps), while_open="refuse", clock=clock)


def inference_guard(settings: GuardSettings, spec: PolicySpec, timeout_ms: float) -> Guard:
    """Return a guard for the ms of an inference, known only afterwards; a row of the chunk is free."""
    row_ms = spec.action_period_ns * 1e-6
    return Guard(settings, most=timeout_ms, free=row_ms, while_open="warn")


def explain_open(state: GuardState, unit: str) -> str:
    """Return whose breakers are open, and the remedy; empty where none is."""
    if not state.open:
        return ""
    return (
        f"{', '.join(state.open)}: too many calls wanted far more {unit} than is usual; look at what comes "
        "from there, or raise energy.guard.sigmas and energy.guard.most_factor if all is well"
    )
