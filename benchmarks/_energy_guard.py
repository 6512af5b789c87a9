# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether inputs that are made to be expensive are cut, and no others.

The code of each node is called with the guard that the node gives it, 10,000 times with normal inputs, and in
between by an attacker; then by the attacker without a guard. All of it is real but the clock of the guard,
which goes 30 calls a second.
"""

from __future__ import annotations

import itertools
import time
import timeit
from typing import Any

import numpy as np

from lowlat_nodes.benchmarks._energy_guard_parts import PARTS, Part
from lowlat_nodes.energy.guard import Guard, GuardSettings
from lowlat_nodes.stream.bound import UNBOUNDED, Bound

_NORMAL_CALLS, _QUICK_CALLS = 10_000, 2000
_LEARNT = 1000  # normal calls before the first attack
_EVERY = 50  # an attack comes after so many normal calls
_MOST_FALSE_SHARE = 1e-3
_PAIRS = 2000
_PERIOD_NS = 1_000_000_000 // 30


def measure(quick: bool) -> dict[str, Any]:
    """Return `guard`: the figures of each part, `pair_us` of asking and telling, and whether all is `ok`.

    ====================== ==========================================================================
    unit                   what is counted of a call
    normal_mean, _p999     of that in the normal calls, before any limit
    normal_inputs          different normal inputs; each comes again until there are `normal_calls`
    attack_factor          what an attack wants of that, over the mean of normal calls
    attacks                calls of the attacker
    attacks_cut            those that got no more than was allowed
    attacks_refused        of these, those that got nothing, as a breaker was open
    false_cuts             normal calls that were cut or refused
    breaker_opened_after   attacks that it took
    time_ratio_unguarded   mean time of an attack without a guard, over that of a normal call
    time_ratio_guarded     the same with one
    ====================== ==========================================================================
    """
    calls = _QUICK_CALLS if quick else _NORMAL_CALLS
    found = {name: judge(make(quick), calls) for name, make in PARTS.items()}
    ok = all(each["ok"] for each in found.values())
    return {"guard": {**found, "pair_us": _pair_us(), "ok": ok}}


def judge(part: Part, calls: int) -> dict[str, Any]:
    """Return the figures of one part, over so many normal calls."""
    guard, attacks = part.guard, itertools.cycle(part.attacks)
    normal_s: list[float] = []
    guarded_s: list[float] = []
    unguarded_s: list[float] = []
    false_cuts = opened_after = 0
    for number in range(calls):
        before = guard.state()
        normal_s.append(_timed(part, part.normal[number % len(part.normal)], "normal", guard))
        after = guard.state()
        false_cuts += after.cuts - before.cuts + after.refused - before.refused
        if number >= _LEARNT and number % _EVERY == 0:
            attack = next(attacks)
            guarded_s.append(_timed(part, attack, "attacker", guard))
            unguarded_s.append(_timed(part, attack, "attacker", UNBOUNDED))
            if guard.state().opened and not opened_after:
                opened_after = len(guarded_s)
    state = guard.state()
    attacks_cut = state.cuts + state.refused - false_cuts
    wanted, usual_s = np.array(part.normal_costs), float(np.mean(normal_s))
    return {
        "unit": part.unit,
        "normal_calls": calls,
        "normal_inputs": len(part.normal),
        "normal_mean": float(wanted.mean()),
        "normal_p999": float(np.quantile(wanted, 0.999)),
        "attack_factor": part.attack_cost / float(wanted.mean()),
        "attacks": len(guarded_s),
        "attacks_cut": attacks_cut,
        "attacks_refused": state.refused,
        "false_cuts": false_cuts,
        "breaker_opened_after": opened_after,
        "time_ratio_unguarded": float(np.mean(unguarded_s)) / usual_s,
        "time_ratio_guarded": float(np.mean(guarded_s)) / usual_s,
        "ok": attacks_cut == len(guarded_s) and false_cuts <= _MOST_FALSE_SHARE * calls,
    }


def _pair_us() -> float:
    """Return how long it takes to ask a guard and to tell it, the best of some rounds."""
    guard = Guard(GuardSettings(), most=1e3, free=1.0)

    def pair() -> None:
        guard.limit("camera")
        guard.note(5.0, cut=False, source="camera")

    return min(timeit.repeat(pair, number=_PAIRS, repeat=20)) / _PAIRS * 1e6


def _timed(part: Part, given: Any, source: str, bound: Bound) -> float:
    part.clock.advance(_PERIOD_NS)
    began_s = time.perf_counter()
    part.call(given, source, bound)
    return time.perf_counter() - began_s
