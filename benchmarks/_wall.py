# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's lights under published and varying inference latencies: real nodes over DDS, one run at a time.

Each cell is a run of `lowlat demo` with one way to run the policy: the arm, the policy node and a recorder
are processes of their own, and the bag is scored. docs/bench_control_suite.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.cli.demo.energy import RunEnergy
from lowlat_nodes.cli.demo.recording import Recording, read_bag
from lowlat_nodes.cli.demo.result import StrategyResult, evaluate
from lowlat_nodes.cli.demo.run import BAG, RunError, own_domain, run_strategy
from lowlat_nodes.cli.demo.settings import DemoSettings
from lowlat_nodes.sim.smoothness import rms_jerk
from lowlat_nodes.stream.errors import LowlatError

STRATEGIES = ("sync", "naive_async", "vlash")

LATENCIES: Mapping[str, tuple[float, Mapping[str, Any]]] = {
    "30.4": (30.4, {}),
    "36.1": (36.1, {}),
    "64.1": (64.1, {}),
    "103": (103.0, {}),
    "log_normal": (
        64.1,
        {"policy.inference_delay.distribution": "log_normal", "policy.inference_delay.sigma": 0.4},
    ),
    "spikes": (
        36.1,
        {
            "policy.inference_delay.distribution": "spikes",
            "policy.inference_delay.spike_share": 0.05,
            "policy.inference_delay.spike_ms": 250.0,
        },
    ),
}
"""The delay in ms, constant or the median, and how it varies, as parameters of the policy node."""

POLICIES: Mapping[str, str] = {
    "vlash": "table_vlash_last_action",
    "vlash_sum_deltas": "table_vlash",
    "vlash_actuator": "table_vlash",
    "vlash_delay_conditioned": "table_delay",
    "ours": "table_delay",
}
"""The shipped policy of each strategy or preset, all trained on the same data for as long."""

_ANY_OTHER = "table_base"

_START_S, _LIGHT_S = 14.0, 1.46
_STEP_S = 0.01
_RESAMPLES = 4000


def wall(
    strategies: Sequence[str] = STRATEGIES,
    *,
    lights: int = 40,
    latencies: Sequence[str] = tuple(LATENCIES),
    seed: int = 1,
) -> dict[str, Any]:
    """Return what became of every strategy at every latency.

    Args:
        strategies: Names that `lowlat demo --strategies` knows.
        lights: How many each run is asked to touch, at least 8.
        latencies: Of `LATENCIES`.
        seed: Of the lights, of the policy's noise and of the drawn latencies; the same for all runs.
    """
    cells = []
    for latency in latencies:
        delay_ms, varies = LATENCIES[latency]
        for name in strategies:
            settings = DemoSettings(
                targets=lights,
                seed=seed,
                inference_delay_ms=delay_ms,
                record_images=False,
                parameters={"policy.model": POLICIES.get(name, _ANY_OTHER), **varies},
            )
            cells.append({"latency": latency, **_run(name, settings, cell_figures)})
    return {
        "cells": cells,
        "setting": {
            "lights": lights,
            "seed": seed,
            "latencies": {name: {"delay_ms": LATENCIES[name][0], **LATENCIES[name][1]} for name in latencies},
        },
    }


def wall_takes_s(strategies: Sequence[str] = STRATEGIES, *, lights: int = 40, latencies: int = 6) -> float:
    """Return about how long `wall` takes."""
    return len(strategies) * latencies * (_START_S + lights * _LIGHT_S)


def light_reactions(
    strategies: Sequence[str] = ("sync", "vlash", "ours"), *, lights: int = 100, seed: int = 1
) -> dict[str, Any]:
    """Return reaction times in the setting of `lowlat demo`, by its definition, and the ratios of medians.

    Args:
        strategies: Names that `lowlat demo --strategies` knows.
        lights: How many each run is asked to touch, at least 8.
        seed: Of the lights and of the policy's noise.
    """
    settings = DemoSettings(targets=lights, seed=seed)
    runs = {name: _run(name, settings, reaction_figures) for name in strategies}
    others = [name for name in strategies if name != "sync" and "sync" in runs]
    return {
        **{f"ratio_sync_over_{name}_p50": ratio(runs["sync"], runs[name]) for name in others},
        **{f"ratio_sync_over_{name}_p50_ci95": ratio_ci95(runs["sync"], runs[name]) for name in others},
        "lights": runs,
        "setting": {
            "lights": lights,
            "seed": seed,
            "inference_delay_ms": settings.inference_delay_ms,
            "params_file": "config/demo.yaml",
        },
    }


def light_reactions_take_s(
    strategies: Sequence[str] = ("sync", "vlash", "ours"), *, lights: int = 100
) -> float:
    """Return about how long `light_reactions` takes."""
    return len(strategies) * (_START_S + lights * _LIGHT_S)


def cell_figures(result: StrategyResult) -> dict[str, Any]:
    """Return the figures of a run in the suite."""
    figures, policy = result.figures(), result.recording.policy
    ticks = figures["ticks"]
    kept = (
        "hits",
        "targets",
        "hit_rate",
        "hit_rate_ci95",
        "reaction_p50_ms",
        "reaction_p99_ms",
        "reactions_missed",
        "stalled_ticks",
        "stalls",
        "ticks",
        "inferences",
        "inference_p50_ms",
        "energy",
    )
    return {
        **{name: figures[name] for name in kept},
        "misses": policy.get("misses", 0),
        "held_share": round(figures["stalled_ticks"] / ticks, 5) if ticks else None,
        "late_chunks": policy.get("chunks_trimmed", 0) + policy.get("chunks_late", 0),
        "jerk_m_s3": round(command_jerk(result.recording), 1),
    }


def reaction_figures(result: StrategyResult) -> dict[str, Any]:
    """Return the distribution of the reactions of a run, and what tells how far to trust it."""
    reaction_ms = result.score.reaction_ns[~np.isnan(result.score.reaction_ns)] * 1e-6
    shares = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99}
    figures = result.figures()
    kept = ("hits", "targets", "first_chunk_p50_ms", "reactions_before_cause", "reactions_missed")
    return {
        **{f"reaction_{name}_ms": _quantile(reaction_ms, share) for name, share in shares.items()},
        "reaction_mean_ms": round(float(reaction_ms.mean()), 3) if len(reaction_ms) else None,
        "reaction_ms": np.round(reaction_ms, 3).tolist(),
        **{name: figures[name] for name in kept},
    }


def command_jerk(recording: Recording) -> float:
    """Return the root mean square of the jerk of the commanded fingertip in m/s³, over steps of 10 ms.

    Of the commands and not of the arm, whose measured positions carry the noise of its encoders.
    """
    step_ns = round(_STEP_S * 1e9)
    track = recording.track.at(np.arange(recording.start_ns, recording.end_ns, step_ns))
    return rms_jerk(track[~np.isnan(track).any(axis=1)], _STEP_S)


def ratio(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> float | None:
    """Return the ratio of two median reactions, None where a run has none."""
    slow_ms, fast_ms = slow.get("reaction_p50_ms"), fast.get("reaction_p50_ms")
    return round(slow_ms / fast_ms, 3) if slow_ms and fast_ms else None


def ratio_ci95(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> list[float] | None:
    """Return the 95 % bootstrap interval of the ratio of two median reactions, None where a run has none.

    It stands for other lights at other phases of the loop, not for other machines or policies.
    """
    if not slow.get("reaction_ms") or not fast.get("reaction_ms"):
        return None
    random = np.random.default_rng(0)
    slow_ms, fast_ms = (
        np.median(random.choice(run["reaction_ms"], (_RESAMPLES, len(run["reaction_ms"]))), axis=1)
        for run in (slow, fast)
    )
    return [round(float(bound), 3) for bound in np.quantile(slow_ms / fast_ms, (0.025, 0.975))]


def _run(
    name: str, settings: DemoSettings, figures: Callable[[StrategyResult], dict[str, Any]]
) -> dict[str, Any]:
    """Run one strategy and return its figures, or `problem` where it did not come to its end."""
    began_s = time.monotonic()
    params_file = resources.path("config", "demo.yaml")
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        try:
            with own_domain() as domain:
                run_strategy(name, settings, folder, params_file, domain, lambda _: None)
            found = figures(evaluate(name, read_bag(folder / BAG), RunEnergy.load(folder)))
        except (RunError, LowlatError, ValueError) as error:
            found = {"problem": str(error)}
    took_s = time.monotonic() - began_s
    said = {key: found.get(key) for key in ("problem", "hits", "targets", "reaction_p50_ms") if key in found}
    print(f"lights, {settings.inference_delay_ms:g} ms, {name}, {took_s:.0f} s: {said}", file=sys.stderr)
    return {"strategy": name, **found}


def _quantile(values: np.ndarray, share: float) -> float | None:
    found = float(np.quantile(values, share)) if len(values) else math.nan
    return None if math.isnan(found) else round(found, 3)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure alone, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("wall", "lights"))
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--lights", type=int, default=40)
    parser.add_argument("--latencies", nargs="+", default=list(LATENCIES), choices=list(LATENCIES))
    options = parser.parse_args(argv)
    strategies, lights = options.strategies, options.lights
    if options.what == "lights":
        takes_s = light_reactions_take_s(strategies, lights=lights)
    else:
        takes_s = wall_takes_s(strategies, lights=lights, latencies=len(options.latencies))
    print(f"takes about {takes_s:.0f} s", file=sys.stderr)
    if options.what == "lights":
        figures = light_reactions(strategies, lights=lights)
    else:
        figures = wall(strategies, lights=lights, latencies=options.latencies)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
