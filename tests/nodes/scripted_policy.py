# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy that does what the task text says: moves on, or goes wrong in one of many ways."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.inference.model import LaunchTimes

JOINTS = ("shoulder", "elbow")
HEIGHT, WIDTH = 48, 64
HORIZON, PERIOD_NS = 10, 50_000_000
SPEED = 0.4  # rad/s
INFERENCE_S = 0.05


class ScriptedPolicy:
    """Leads both joints on from where they are."""

    spec = PolicySpec(
        joints=JOINTS,
        state_fields=("position",),
        images={"image": ImageSpec(HEIGHT, WIDTH)},
        takes_task=True,
        horizon=HORIZON,
        action_period_ns=PERIOD_NS,
        delta=(False, False),
    )
    launch: LaunchTimes | None = LaunchTimes(40.0, 9000.0)  # as if it ran on a GPU

    def infer(self, observation: Observation) -> np.ndarray:
        time.sleep(INFERENCE_S)
        steps = np.arange(1, HORIZON + 1)[:, None] * (PERIOD_NS * 1e-9)
        actions = observation.state.astype(np.float64) + SPEED * steps
        if observation.task == "raise":
            raise ValueError("the camera shows a cat")
        if observation.task == "nan":
            actions[3] = np.nan
        if observation.task == "shape":
            return actions[:, :1]
        if observation.task == "hang":
            time.sleep(600.0)
        return actions


def make(_config: Any) -> ScriptedPolicy:
    return ScriptedPolicy()


class SteppedPolicy(ScriptedPolicy):
    """Takes as many times as long as it is to make steps, four unless told."""

    spec = dataclasses.replace(ScriptedPolicy.spec, accepts=("steps",), steps=4)

    def infer(self, observation: Observation) -> np.ndarray:
        time.sleep(INFERENCE_S * ((observation.steps or 4) - 1))
        return super().infer(observation)


def make_stepped(_config: Any) -> SteppedPolicy:
    return SteppedPolicy()


def make_broken(_config: Any) -> ScriptedPolicy:
    raise RuntimeError("no such accelerator")


def make_slow(_config: Any) -> ScriptedPolicy:
    time.sleep(600.0)
    return ScriptedPolicy()


class _Continuing(ScriptedPolicy):
    """Goes on from the rows that are executed anyway, and prints how many they are and what it is told."""

    spec = dataclasses.replace(ScriptedPolicy.spec, accepts=("delay", "prefix"))
    launch = None

    def infer(self, observation: Observation) -> np.ndarray:
        actions = super().infer(observation)
        decided, committed = observation.decided, observation.committed
        if decided is not None and committed:
            actions += decided[committed - 1] - actions[committed - 1]
            actions[:committed] = decided[:committed]
            straight = np.allclose(np.diff(decided, axis=0), SPEED * PERIOD_NS * 1e-9)
            late = 0.0 < observation.delay_rows < HORIZON
            print(f"continues straight={straight} late={late}", flush=True)
        return actions


def make_continuing(_config: Any) -> ScriptedPolicy:
    return _Continuing()


class _Endless(ScriptedPolicy):
    spec = dataclasses.replace(ScriptedPolicy.spec, horizon=100_000)


def make_endless(_config: Any) -> ScriptedPolicy:
    return _Endless()


def make_changing(config: Any) -> ScriptedPolicy:
    """Return a policy whose horizon stands in a file, the `model`; without a number it never loads."""
    text = Path(config.model).read_text()
    if not text.isdigit():
        time.sleep(600.0)

    class Changing(ScriptedPolicy):
        spec = dataclasses.replace(ScriptedPolicy.spec, horizon=int(text))

        def infer(self, _observation: Observation) -> np.ndarray:
            return np.zeros((self.spec.horizon, len(JOINTS)))

    return Changing()
