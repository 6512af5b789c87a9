# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of the control suite in simulated time, from the records of its cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.benchmarks._suite_cells import Cell
from lowlat_nodes.sim.score import wilson_ci95
from lowlat_nodes.train.evaluate import SERIES, TASKS

BASELINE: Final = ("oracle", 0)
"""Sync with the sync-trained policy where inference takes no time, a new chunk at every step."""

RECOMMENDED: Final = "ours"
OURS: Final = ("rollforward_actuator", "vlash_actuator", "delay_conditioned", "ours")
LAST_ACTION: Final = ("vlash_last_action", "vlash_recorded_last_action")
"""VLASH with the last action for a state, trained on that or on recorded states; the better one counts."""

PRICED: Final = ("vlash_actuator", "delay_conditioned", "vlash_last_action", "rtc_trained", "a2c2")
"""Methods whose training may cost success where there is no delay."""

RETAINED_AT: Final = 4
GAIN_AT: Final = (4, 8)
_RESAMPLES = 4000


@dataclass(frozen=True, eq=False)
class Pool:
    """What a method achieved at a task and a delay with the policies of all training seeds.

    Attributes:
        records: One per seed, as `_suite_cells.to_record` made them, in the order of the seeds.
    """

    records: tuple[Mapping[str, Any], ...]

    @property
    def series(self) -> NDArray[np.int64]:
        """Successes of each series of trials, of all seeds."""
        return np.array([won for record in self.records for won in record["series"]])

    @property
    def trials(self) -> int:
        """How many trials."""
        return sum(record["trials"] for record in self.records)

    @property
    def rate(self) -> float:
        """Share of the trials that were done."""
        return float(self.series.sum()) / self.trials

    @property
    def reaction_ms(self) -> NDArray[np.float64]:
        """All reactions that happened."""
        return np.array([ms for record in self.records for ms in record["reaction_ms"]])

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        reaction_ms, first = self.reaction_ms, self.records[0]
        completion_ms = np.array([ms for record in self.records for ms in record["completion_ms"]])
        steps = sum(record["steps"] for record in self.records)

        def mean(name: str) -> float:
            return float(np.mean([record[name] for record in self.records]))

        return {
            **{name: first[name] for name in ("task", "method", "delay_steps", "jitter_steps")},
            "trials": self.trials,
            "success": self.rate,
            "success_ci95": list(wilson_ci95(int(self.series.sum()), self.trials)),
            "success_by_seed": [sum(record["series"]) / record["trials"] for record in self.records],
            "reaction_min_ms": quantile(reaction_ms, 0.0),
            "reaction_p50_ms": quantile(reaction_ms, 0.5),
            "reaction_p99_ms": quantile(reaction_ms, 0.99),
            "reaction_max_ms": quantile(reaction_ms, 1.0),
            "reactions_missed": sum(record["reactions_missed"] for record in self.records),
            "completion_p50_ms": quantile(completion_ms, 0.5),
            "jerk_m_s3": math.sqrt(float(np.mean([record["jerk_m_s3"] ** 2 for record in self.records]))),
            "boundary_jump_p50_rad": mean("boundary_jump_p50_rad"),
            "boundary_jump_p95_rad": mean("boundary_jump_p95_rad"),
            "held_share": sum(record["held_steps"] for record in self.records) / steps,
            "inferences_per_step": sum(record["inferences"] for record in self.records) / steps,
        }


Pools = Mapping[tuple[str, str, int, int], Pool]
"""By task, method, delay and jitter."""


def pool(records: Mapping[Cell, Mapping[str, Any]]) -> dict[tuple[str, str, int, int], Pool]:
    """Put the shares of the training seeds together."""
    shares: dict[tuple[str, str, int, int], list[tuple[int, Mapping[str, Any]]]] = {}
    for cell, record in records.items():
        key = (cell.task, cell.method, cell.delay_steps, cell.jitter_steps)
        shares.setdefault(key, []).append((cell.seed, record))
    return {
        key: Pool(tuple(record for _, record in sorted(found, key=lambda share: share[0])))
        for key, found in shares.items()
    }


def headline(pools: Pools) -> dict[str, Any]:
    """Return the figures that the suite is judged by, as JSON has them."""
    methods = sorted({method for _, method, delay, _ in pools if delay == RETAINED_AT})
    kept = {method: retained(pools, method, RETAINED_AT) for method in methods}
    best = max(OURS, key=lambda method: kept[method])
    gains = {str(delay): _gain_over_last_action(pools, delay) for delay in GAIN_AT}
    baseline = mean_rate(pools, *BASELINE)
    return {
        "retained": {"best_ours": kept[best], "best_ours_method": best, **kept},
        "gain_over_vlash_last_action": min(one["ci95"][0] for one in gains.values()),
        "gains_over_vlash_last_action": gains,
        "low_delay_cost": baseline - mean_rate(pools, RECOMMENDED, 0),
        "low_delay_costs": {method: baseline - mean_rate(pools, method, 0) for method in PRICED},
    }


def mean_rate(pools: Pools, method: str, delay: int) -> float:
    """Return the success rate at a fixed delay, as the mean over the tasks."""
    return float(np.mean([pools[task, method, delay, 0].rate for task in TASKS]))


def retained(pools: Pools, method: str, delay: int) -> float:
    """Return the share of the baseline's success that is left, as the mean over the tasks."""
    shares = [pools[task, method, delay, 0].rate / pools[(task, *BASELINE, 0)].rate for task in TASKS]
    return float(np.mean(shares))


def _gain_over_last_action(pools: Pools, delay: int) -> dict[str, Any]:
    played = [method for method in LAST_ACTION if (next(iter(TASKS)), method, delay, 0) in pools]
    best = max(played, key=lambda method: mean_rate(pools, method, delay))
    return {"over": best, **gain(pools, RECOMMENDED, best, delay)}


def gain(pools: Pools, method: str, other: str, delay: int) -> dict[str, Any]:
    """Return by how much a method succeeds more often than another, as the mean over the tasks.

    Both played the same series of trials, so the interval is a paired bootstrap over series within each task
    and training seed. It does not cover what other training seeds would bring; `by_seed` shows that.
    """
    random = np.random.default_rng(0)
    by_task, resampled, by_seed = [], np.zeros(_RESAMPLES), []
    for task in TASKS:
        mine, theirs = pools[task, method, delay, 0], pools[task, other, delay, 0]
        seeds = [
            (np.array(a["series"]) - np.array(b["series"])) / SERIES
            for a, b in zip(mine.records, theirs.records, strict=True)
        ]
        by_seed.append([float(differences.mean()) for differences in seeds])
        by_task.append(float(np.mean(by_seed[-1])))
        for differences in seeds:
            drawn = random.integers(len(differences), size=(_RESAMPLES, len(differences)))
            resampled += differences[drawn].mean(axis=1) / (len(seeds) * len(TASKS))
    return {
        "gain": float(np.mean(by_task)),
        "ci95": [float(np.quantile(resampled, q)) for q in (0.025, 0.975)],
        "by_task": dict(zip(TASKS, by_task, strict=True)),
        "by_seed": [float(np.mean(gains)) for gains in zip(*by_seed, strict=True)],
    }


def table(pools: Pools, delays: Sequence[int], methods: Iterable[str], *, jitter: int = 0) -> str:
    """Return success rates as a Markdown table: a row per method, a column per delay, mean over the tasks."""
    lines = [
        "| method | " + " | ".join(f"{delay} steps" for delay in delays) + " |",
        "|---|" + "---|" * len(delays),
    ]
    for method in methods:
        cells = []
        for delay in delays:
            found = [pools.get((task, method, delay, jitter)) for task in TASKS]
            known = [one.rate for one in found if one is not None]
            cells.append(f"{np.mean(known):.3f}" if len(known) == len(TASKS) else "")
        if any(cells):
            lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def quantile(values: NDArray[np.float64], q: float) -> float | None:
    """Return a quantile, None of nothing."""
    return round(float(np.quantile(values, q)), 3) if len(values) else None
