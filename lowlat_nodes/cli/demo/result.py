# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What recorded runs amount to: figures for each strategy, and whether the loop was closed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from lowlat_nodes.cli.demo.energy import RunEnergy
from lowlat_nodes.cli.demo.recording import IMAGES, JOINTS, Recording
from lowlat_nodes.cli.demo.settings import DemoSettings
from lowlat_nodes.sim.score import Score, score
from lowlat_nodes.stream.payload import Floats

COMMANDS_SHARE = 0.95
IMAGES_SHARE = 0.90
REAL_TIME_SHARE = 0.98
HIT_RATE = 0.5
REACTIONS_SHARE = 0.8
STALLS_SHARE = 0.002  # a virtual machine is stopped for some ticks now and then, whatever runs on it
"""What a closed loop reaches on a busy laptop with room to spare; the comparison is not judged by these."""


_TICK_SLACK_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold for the demo to have worked.

    Attributes:
        passed: Whether it does.
        sentence: What was looked at and what came, for people.
    """

    passed: bool
    sentence: str


@dataclass(frozen=True, eq=False)
class StrategyResult:
    """A strategy's run, its score, and what its policy node used."""

    name: str
    recording: Recording
    score: Score
    energy: RunEnergy

    def figures(self) -> dict[str, Any]:
        """Return the figures of `lowlat demo --json`; NaN becomes None, which JSON can say."""
        recording, run = self.recording, self.score
        policy = recording.policy
        gaps_ns = recording.command_gaps_ns()
        answer_ns = np.array(
            [item.received_ns - item.launched_ns for item in recording.inferences if item.received_ns]
        )
        return {
            "targets": run.targets,
            "hits": run.hits,
            "hit_rate": round(run.hit_rate, 4),
            "hit_rate_ci95": [round(bound, 4) for bound in run.hit_ci95],
            "reaction_p50_ms": _ms(run.reaction_quantile_ns(0.5)),
            "reaction_p99_ms": _ms(run.reaction_quantile_ns(0.99)),
            "reactions_missed": run.missed_reactions,
            "first_chunk_p50_ms": _ms(float(np.nanmedian(self.cause_ns()))),
            "reactions_before_cause": self.reactions_before_cause(),
            "no_event_trials": run.no_event_trials,
            "wrong_touches": recording.wrong,
            "stalled_ticks": policy.get("stalled_ticks"),
            "stalls": policy.get("stalls"),
            "ticks": policy.get("ticks"),
            "inferences": policy.get("inferences"),
            "inference_p50_ms": _ms(float(np.median(answer_ns)) if answer_ns.size else math.nan),
            "commands": recording.commands(),
            "command_gap_max_ms": _ms(float(gaps_ns.max()) if gaps_ns.size else math.nan),
            "duration_s": round(recording.seconds, 3),
            "messages": sum(recording.messages.values()),
            "energy": self.energy.figures(recording.seconds, recording.commands()),
        }

    def cause_ns(self) -> Floats:
        """Return the times from each light to the first chunk that can have known of it, NaN for none.

        No reaction can be earlier, whatever it is measured by: this is what asking sooner buys.
        """
        knowing = sorted(
            (item.observed_ns, item.switch_ns) for item in self.recording.inferences if item.switch_ns
        )
        observed_ns = [observed for observed, _ in knowing]
        # The earliest switch of all inferences from here on.
        switch_ns = list(accumulate((switch for _, switch in reversed(knowing)), min))[::-1]
        causes = []
        for target in self.recording.targets:
            first = bisect_left(observed_ns, target.onset_ns)
            causes.append(switch_ns[first] - target.onset_ns if first < len(switch_ns) else math.nan)
        return np.array(causes)

    def reactions_before_cause(self) -> int:
        """Return how many reactions came before their cause: the false alarms of the definition."""
        # The tick of a switch and the stamp of its command are not the same instant.
        return int((self.score.reaction_ns < self.cause_ns() - _TICK_SLACK_NS).sum())


def evaluate(name: str, recording: Recording, energy: RunEnergy) -> StrategyResult:
    """Score a recorded run.

    Raises:
        ValueError: If it is too short to be scored.
    """
    return StrategyResult(name, recording, score(recording.targets, recording.track), energy)


def checks(settings: DemoSettings, results: Mapping[str, StrategyResult]) -> list[Check]:
    """Return what must hold of the runs for the closed loop to have worked, each with its sentence."""
    found: list[Check] = []
    for name in settings.strategies:
        if name in results:
            found += _run_checks(settings, results[name])
    if "vlash" in results:
        found += _vlash_checks(results["vlash"])
    return found


def comparison(results: Mapping[str, StrategyResult]) -> dict[str, float | None]:
    """Return how vlash compares with the others, as far as they ran."""
    if "vlash" not in results:
        return {}
    vlash = results["vlash"].score
    compared: dict[str, float | None] = {}
    for other in ("naive_async", "sync"):
        if other in results:
            run = results[other].score
            ratio = vlash.reaction_quantile_ns(0.5) / run.reaction_quantile_ns(0.5)
            compared[f"hit_rate_vlash_minus_{other}"] = round(vlash.hit_rate - run.hit_rate, 4)
            compared[f"reaction_p50_vlash_to_{other}"] = None if math.isnan(ratio) else round(ratio, 4)
    return compared


def _run_checks(settings: DemoSettings, result: StrategyResult) -> list[Check]:
    name, recording = result.name, result.recording
    seconds = recording.seconds
    commands, images = recording.commands(), recording.messages.get(IMAGES, 0)
    steps, skipped = (recording.sim.get(count, 0) for count in ("steps", "steps_skipped"))
    wanted_commands = round(seconds * settings.tick_hz)
    found = [
        Check(
            result.score.targets == settings.targets,
            f"{name}: {result.score.targets} of {settings.targets} targets were decided.",
        ),
        Check(
            commands >= COMMANDS_SHARE * wanted_commands,
            f"{name}: {commands} commands were recorded, {wanted_commands} were due.",
        ),
        Check(
            steps >= REAL_TIME_SHARE * (steps + skipped) > 0,
            f"{name}: the simulation made {steps} of {steps + skipped} steps in time.",
        ),
        Check(
            recording.messages.get(JOINTS, 0) >= IMAGES_SHARE * seconds * settings.joint_rate_hz,
            f"{name}: {recording.messages.get(JOINTS, 0)} joint states were recorded in {seconds:.0f} s.",
        ),
    ]
    if settings.record_images:
        wanted_images = IMAGES_SHARE * seconds * settings.image_rate_hz
        found.append(
            Check(images >= wanted_images, f"{name}: {images} images were recorded in {seconds:.0f} s.")
        )
    return found


def _vlash_checks(result: StrategyResult) -> list[Check]:
    run, policy = result.score, result.recording.policy
    stalled, stalls = policy.get("stalled_ticks"), policy.get("stalls")
    seen = run.targets - run.missed_reactions
    return [
        Check(run.hit_rate >= HIT_RATE, f"vlash: {run.hits} of {run.targets} targets were touched in time."),
        Check(
            seen >= REACTIONS_SHARE * run.targets, f"vlash: it reacted to {seen} of {run.targets} targets."
        ),
        Check(
            _rare(stalled, policy), f"vlash: {_count(stalled)} ticks were not served by an unexpired chunk."
        ),
        Check(
            _rare(stalls, policy),
            f"vlash: {_count(stalls)} commands came later than one period after their deadline.",
        ),
    ]


def _rare(stalls: int | None, policy: Mapping[str, int]) -> bool:
    return stalls is not None and stalls <= STALLS_SHARE * policy.get("ticks", 0)


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else str(number)


def _ms(time_ns: float) -> float | None:
    return None if math.isnan(time_ns) else round(time_ns * 1e-6, 3)
