# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How a request to a policy server tells the delay and the plan that the chunk continues.

=================== ============= ========================================================================
`lowlat/delay`      number        `Observation.delay_rows`, from 0 to 1000000
`lowlat/decided`    float64 array `Observation.decided`, [n, joints] of at most as many rows as the horizon
`lowlat/committed`  whole number  `Observation.committed`, from 0 to n
`lowlat/steps`      whole number  `Observation.steps`, from 1 to 1000; the answer says how many were made
=================== ============= ========================================================================

They stand beside the keys of the request's form, and only a server that names them in its description gets
them. The plan and how much of it is committed come together or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from lowlat_nodes.control.policies.policy import MOST_STEPS, Observation, PolicySpec
from lowlat_nodes.stream.requester import RequestRefused

DELAY, DECIDED, COMMITTED = "lowlat/delay", "lowlat/decided", "lowlat/committed"
STEPS = "lowlat/steps"

_LONGEST_DELAY = 1_000_000

_KEYS: Mapping[str, tuple[str, ...]] = {
    "delay": (DELAY,),
    "prefix": (DECIDED, COMMITTED),
    "guidance": (DECIDED, COMMITTED),
    "steps": (STEPS,),
}


def condition_keys(accepts: Collection[str]) -> list[str]:
    """Return the keys for what a policy accepts, of `CONDITIONS`."""
    return list(dict.fromkeys(key for name in accepts for key in _KEYS[name]))


def understood(accepts: Collection[str], keys: Sequence[Any]) -> tuple[str, ...]:
    """Return what of that can be told to a server that says it understands these keys."""
    return tuple(name for name in accepts if all(key in keys for key in _KEYS[name]))


def write_conditions(observation: Observation, accepts: Collection[str]) -> dict[str, Any]:
    """Return the entries of a request for what a policy accepts."""
    entries: dict[str, Any] = {}
    keys = condition_keys(accepts)
    if DELAY in keys:
        entries[DELAY] = float(observation.delay_rows)
    if DECIDED in keys and observation.decided is not None:
        entries |= {DECIDED: observation.decided, COMMITTED: int(observation.committed)}
    if STEPS in keys and observation.steps:
        entries[STEPS] = int(observation.steps)
    return entries


def read_conditions(request: Mapping[str, Any], observation: Observation, spec: PolicySpec) -> None:
    """Complete an observation by what a request says of these, as far as the policy accepts it.

    Raises:
        RequestRefused: If it is of another type or size, not finite, or out of its range.
    """
    keys = condition_keys(spec.accepts)
    if DELAY in keys and DELAY in request:
        delay = request[DELAY]
        if type(delay) not in (int, float) or not 0 <= delay <= _LONGEST_DELAY:
            _refuse(DELAY, f"a number from 0 to {_LONGEST_DELAY}", delay)
        observation.delay_rows = float(delay)
    if DECIDED in keys and (DECIDED in request or COMMITTED in request):
        observation.decided = _decided(request.get(DECIDED), spec)
        rows, committed = len(observation.decided), request.get(COMMITTED)
        if type(committed) is not int or not 0 <= committed <= rows:
            _refuse(COMMITTED, f"a whole number from 0 to {rows}", committed)
        observation.committed = committed
    if STEPS in keys and STEPS in request:
        steps = request[STEPS]
        if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
            _refuse(STEPS, f"a whole number from 1 to {MOST_STEPS}", steps)
        observation.steps = steps


def _decided(value: Any, spec: PolicySpec) -> np.ndarray:
    joints = len(spec.delta)
    if (
        not isinstance(value, np.ndarray)
        or value.dtype != np.float64
        or value.ndim != 2
        or value.shape[1] != joints
        or len(value) > spec.horizon
    ):
        _refuse(DECIDED, f"float64 of at most {spec.horizon} rows of {joints}", value)
    with np.errstate(over="ignore"):  # networks take float32
        finite = np.isfinite(value.astype(np.float32)).all()
    if not finite:
        raise RequestRefused(f"{DECIDED}: expected numbers that are finite as float32")
    return value


def _refuse(key: str, expected: str, value: Any) -> NoReturn:
    shown = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)[:80]
    raise RequestRefused(f"{key}: expected {expected}, got {shown}")
