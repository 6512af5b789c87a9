# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies that keep a core busy the way real ones do: in NumPy, or holding the interpreter's lock.

One inference takes 120 ms, every twentieth ten times as long. The chunks lead seven joints back and forth.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec

JOINTS = tuple(f"joint_{number}" for number in range(1, 8))
HORIZON = 32
ACTION_PERIOD_NS = 20_000_000
IMAGE = ImageSpec(height=480, width=640)
INFERENCE_NS = 120_000_000
SLOW_EVERY = 20
SLOW_FACTOR = 10

_REACH = 0.3  # rad
_PER_DIRECTION = 8  # inferences
_TIME_CONSTANT_S = 0.4

Work = Callable[[], object]


class BusyPolicy:
    """Works for a while, then moves every joint some way to one side.

    Args:
        work: A piece of work of a few milliseconds.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.spec = PolicySpec(
            joints=JOINTS,
            state_fields=("position",),
            images={"image": IMAGE},
            takes_task=False,
            horizon=HORIZON,
            action_period_ns=ACTION_PERIOD_NS,
            delta=(False,) * len(JOINTS),
        )

    def infer(self, observation: Observation) -> NDArray[np.float64]:
        """Return float64 [32, 7]."""
        slow = observation.request % SLOW_EVERY == SLOW_EVERY - 1
        end_ns = time.monotonic_ns() + INFERENCE_NS * (SLOW_FACTOR if slow else 1)
        while time.monotonic_ns() < end_ns:
            self._work()
        goal = _REACH if observation.request // _PER_DIRECTION % 2 else -_REACH
        times_s = np.arange(HORIZON) * (ACTION_PERIOD_NS * 1e-9)
        share = 1.0 - np.exp(-times_s / _TIME_CONSTANT_S)
        return observation.state + (goal - observation.state.astype(np.float64)) * share[:, None]


def matrix_work() -> Work:
    """Return work that lets go of the interpreter's lock."""
    matrix = np.random.default_rng(1).standard_normal((512, 512), np.float32)
    return lambda: matrix @ matrix


def locked_work() -> Work:
    """Return work that holds the interpreter's lock: in long calls of C, as extensions do, and in Python."""
    numbers = list(range(300_000))

    def work() -> None:
        json.dumps(numbers)
        sum(number * number for number in range(50_000))

    return work


WORK = {"numpy": matrix_work, "gil": locked_work}


def numpy_policy(_config: PolicyConfig) -> BusyPolicy:
    """Make a policy that works in NumPy."""
    return BusyPolicy(matrix_work())


def gil_policy(_config: PolicyConfig) -> BusyPolicy:
    """Make a policy that holds the interpreter's lock."""
    return BusyPolicy(locked_work())
