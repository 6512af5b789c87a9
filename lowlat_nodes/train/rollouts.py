# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations: closed-loop MuJoCo rollouts of a disturbed expert, and what followed each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.tokens import tokenize
from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.camera import CameraConfig, TableCamera
from lowlat_nodes.sim.environment import Environment
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.sim.scene import Thing
from lowlat_nodes.train.expert import aim, plan
from lowlat_nodes.train.scenarios import HOLD_PHRASES, SCENARIOS, Scenario

IMAGE_SHRINK = 2  # the network averages 2x2 pixels first; the data set keeps the averages
COMMANDS_BEFORE = 2


@dataclass(frozen=True)
class Demonstrations:
    """N images with what was asked for, and what happened in the D action periods after each.

    Attributes:
        images: uint8 [N, H, W, 3], rgb8, already shrunk by `IMAGE_SHRINK`.
        tokens: int64 [N, T], the wording of the task.
        goal: float64 [N, 3] in rad, NaN where nothing in the image is to be reached.
        task: int64 [N], which of `SCENARIOS`.
        states: float64 [N, D + 1, 6], positions in rad and velocities in rad/s as read from the encoders 0 to
            D periods after the image.
        commands: float64 [N, D + 2, 3] in rad, what was sent in the two periods before the image and in the D
            after it: entry k in the period k - 2.
        episode: int64 [N], ascending.
        tick: int64 [N], when in its episode the image was taken, in periods.
    """

    images: NDArray[np.uint8]
    tokens: NDArray[np.int64]
    goal: NDArray[np.float64]
    task: NDArray[np.int64]
    states: NDArray[np.float64]
    commands: NDArray[np.float64]
    episode: NDArray[np.int64]
    tick: NDArray[np.int64]

    @property
    def max_offset(self) -> int:
        """D."""
        return int(self.states.shape[1]) - 1

    @classmethod
    def concatenate(cls, parts: Sequence[Demonstrations]) -> Demonstrations:
        """All images of several sets; episodes are numbered on."""
        merged: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)
        }
        starts = np.cumsum([0, *(int(part.episode[-1]) + 1 for part in parts[:-1])])
        merged["episode"] = np.concatenate(
            [part.episode + start for part, start in zip(parts, starts, strict=True)]
        )
        return cls(**merged)


def collect(
    task: str,
    samples: int,
    *,
    seed: int,
    max_offset: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Demonstrations:
    """Roll out episodes of a task until there are `samples` images, five action periods apart on average.

    The expert notices each event only after a random delay, at times heads for a place where nothing is, and
    its commands are disturbed by coloured noise of random strength (DART, Laskey et al. 2017, arXiv
    1703.09327), so that the data holds states which a policy meets after errors of its own.
    """
    import cv2

    scenario, number = SCENARIOS[task], list(SCENARIOS).index(task)
    random = np.random.default_rng((seed, number))
    cameras = TableCamera(), TableCamera(CameraConfig(640, 480))
    native = cameras[0].config
    height, width = native.height_px // IMAGE_SHRINK, native.width_px // IMAGE_SHRINK
    data = Demonstrations(
        images=np.empty((samples, height, width, 3), dtype=np.uint8),
        tokens=np.empty((samples, len(tokenize(""))), dtype=np.int64),
        goal=np.empty((samples, 3)),
        task=np.full(samples, number),
        states=np.empty((samples, max_offset + 1, 6)),
        commands=np.empty((samples, COMMANDS_BEFORE + max_offset, 3)),
        episode=np.empty(samples, dtype=np.int64),
        tick=np.empty(samples, dtype=np.int64),
    )
    count = episode = 0
    while count < samples:
        track = _episode(random, scenario)
        picks = random.random(len(track.q) - max_offset) < 0.2
        picks[:COMMANDS_BEFORE] = False
        for tick in np.flatnonzero(picks)[: samples - count]:
            camera = cameras[int(random.random() < 0.2)]  # some are large images that were scaled down
            full = camera.render(track.q[tick], track.things[tick])
            cv2.resize(full, (width, height), dst=data.images[count], interpolation=cv2.INTER_AREA)
            data.tokens[count] = tokenize(_phrase(random, track.phrases))
            data.goal[count] = track.goal[tick]
            data.states[count] = track.reading[tick : tick + max_offset + 1]
            data.commands[count] = track.command[tick - COMMANDS_BEFORE : tick + max_offset]
            data.episode[count], data.tick[count] = episode, tick
            count += 1
        episode += 1
        if episode % 50 == 0:
            progress(f"{task}: {count} of {samples} images after {episode} episodes")
    return data


@dataclass(frozen=True)
class _Track:
    """One episode by tick: true angles, encoder readings, commands sent, what lay there and its goal."""

    phrases: tuple[str, ...]
    q: NDArray[np.float64]
    reading: NDArray[np.float64]
    command: NDArray[np.float64]
    things: list[tuple[Thing, ...]]
    goal: NDArray[np.float64]


def _phrase(random: np.random.Generator, phrases: tuple[str, ...]) -> str:
    # The first phrase is the one of the task itself; it gets half of the samples.
    return phrases[0 if random.random() < 0.5 else int(random.integers(len(phrases)))]


def _episode(random: np.random.Generator, scenario: Scenario) -> _Track:
    task, phrases = scenario.draw(random)
    expert = scenario.expert
    holding = random.random() < 0.06
    environment = Environment(ArmSim(seed=int(random.integers(2**31))), task)
    arm = environment.arm
    arm.reset(_random_posture(random))
    events = environment.begin()
    ticks = task.duration_ns // expert.action_dt_ns
    strength_rad = random.choice([0.0, 0.02, 0.06, 0.12])
    disturbance = np.zeros(3)
    reading = np.empty((ticks, 6))
    q, sent = np.empty((2, ticks, 3))
    goal = np.full((ticks, 3), np.nan)
    things: list[tuple[Thing, ...]] = []
    delay = 0
    detour: NDArray[np.float64] | None = None
    for tick in range(ticks):
        if events:
            delay = int(random.integers(0, scenario.latest_ticks))
        things.append(tuple(task.things))
        if not holding:
            goal[tick] = aim(task.things)
        if random.random() < 0.02:
            detour = _random_posture(random) if random.random() < 0.35 else None
        sample = arm.read()
        reading[tick, :3], reading[tick, 3:] = sample.position, sample.velocity
        q[tick] = arm.q
        wanted = goal[max(0, tick - delay)] if detour is None else detour
        command = plan(sample.position[None], sample.velocity[None], wanted[None], 1, expert)[0, 0]
        disturbance = 0.8 * disturbance + 0.6 * strength_rad * random.standard_normal(3)
        sent[tick] = command + disturbance
        events = environment.step(sent[tick], expert.action_dt_ns)
    return _Track(HOLD_PHRASES if holding else phrases, q, reading, sent, things, goal)


def _random_posture(random: np.random.Generator) -> NDArray[np.float64]:
    radius, bearing = random.uniform(0.25, 0.64), random.uniform(0.3, 2.85)
    return inverse((radius * np.cos(bearing), radius * np.sin(bearing)))
