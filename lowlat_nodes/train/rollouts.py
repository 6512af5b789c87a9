# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations: closed-loop MuJoCo rollouts of a disturbed expert, and states after each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.tokens import tokenize
from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.camera import CameraConfig, TableCamera
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.sim.reaction import COLOURS, Light, ReactionTask, Schedule, ScheduleConfig, task_text
from lowlat_nodes.train.expert import ExpertConfig, aim, plan

IMAGE_SHRINK = 2  # the network averages 2x2 pixels first; the data set keeps the averages

PHRASES = (
    task_text("{colour}"),
    "touch the {colour} one",
    "reach for the {colour} light",
    "press the {colour} light",
    "go to the {colour} lamp",
    "hit the {colour} target",
    "{colour}",
)
HOLD_PHRASES = ("", "wait", "hold still", "stay where you are", "do nothing", "stop")


@dataclass(frozen=True)
class Demonstrations:
    """N images with what was asked for and the recorded states 0 to D action periods later.

    `images` uint8 [N, H, W, 3] already shrunk by `IMAGE_SHRINK`; `tokens` int64 [N, T]; `goal` float64 [N, 3]
    in rad, NaN where nothing that was asked for burns in the image; `states` float64 [N, D + 1, 6], positions
    in rad and velocities in rad/s as read from the encoders.
    """

    images: NDArray[np.uint8]
    tokens: NDArray[np.int64]
    goal: NDArray[np.float64]
    states: NDArray[np.float64]


def collect(
    samples: int,
    *,
    seed: int,
    max_offset: int,
    expert: ExpertConfig,
    progress: Callable[[str], None] = lambda _: None,
) -> Demonstrations:
    """Roll out episodes until there are `samples` images, five action periods apart on average.

    The expert notices each change of the lights only after a random delay, at times heads for a place where
    no light is, and its commands are disturbed by coloured noise of random strength (DART, Laskey et al.
    2017, arXiv 1703.09327), so that the data holds states which a policy meets after errors of its own.
    """
    import cv2

    random = np.random.default_rng(seed)
    cameras = TableCamera(), TableCamera(CameraConfig(640, 480))
    native = cameras[0].config
    height, width = native.height_px // IMAGE_SHRINK, native.width_px // IMAGE_SHRINK
    images = np.empty((samples, height, width, 3), dtype=np.uint8)
    tokens = np.empty((samples, len(tokenize(""))), dtype=np.int64)
    goal = np.empty((samples, 3))
    states = np.empty((samples, max_offset + 1, 6))
    count = 0
    episode = 0
    while count < samples:
        track = _episode(random, expert, seed=int(random.integers(2**31)))
        picks = random.random(len(track.q) - max_offset) < 0.2
        for tick in np.flatnonzero(picks)[: samples - count]:
            camera = cameras[int(random.random() < 0.2)]  # some are large images that were scaled down
            full = camera.render(track.q[tick], track.burning[tick])
            cv2.resize(full, (width, height), dst=images[count], interpolation=cv2.INTER_AREA)
            tokens[count] = tokenize(_phrase(random, track.asked))
            goal[count] = track.goal[tick]
            states[count] = track.reading[tick : tick + max_offset + 1]
            count += 1
        episode += 1
        if episode % 100 == 0:
            progress(f"demonstrations: {count} of {samples} images after {episode} episodes")
    return Demonstrations(images, tokens, goal, states)


@dataclass(frozen=True)
class _Track:
    """One episode by tick: true angles, encoder readings, burning lights, and the goal they stand for."""

    asked: str | None
    q: NDArray[np.float64]
    reading: NDArray[np.float64]
    burning: list[tuple[Light, ...]]
    goal: NDArray[np.float64]


def _phrase(random: np.random.Generator, asked: str | None) -> str:
    if asked is None:
        return HOLD_PHRASES[int(random.integers(len(HOLD_PHRASES)))]
    # The first phrase is the one of the task itself; it gets half of the samples.
    choice = 0 if random.random() < 0.5 else int(random.integers(len(PHRASES)))
    return PHRASES[choice].format(colour=asked)


def _episode(random: np.random.Generator, expert: ExpertConfig, *, seed: int) -> _Track:
    colour = COLOURS[int(random.integers(len(COLOURS)))]
    asked = None if random.random() < 0.06 else colour
    schedule = Schedule.generate(
        ScheduleConfig(
            targets=6,
            colour=colour,
            window_ns=int(random.uniform(0.5e9, 1.5e9)),
            gap_ns=(50_000_000, 1_200_000_000),
            lead_in_ns=int(random.uniform(0.0, 1e9)),
            radius_m=(0.30, 0.62),
            bearing_rad=(0.35, 2.80),
            min_jump_m=0.05,
            max_jump_m=1.0,
            decoy_share=0.6,
            decoy_jitter_ns=600_000_000,
        ),
        seed=seed,
    )
    task = ReactionTask(schedule)
    arm = ArmSim(seed=seed)
    arm.reset(_random_posture(random))
    ticks = schedule.duration_ns // expert.action_dt_ns
    strength_rad = random.choice([0.0, 0.02, 0.06, 0.12])
    disturbance = np.zeros(3)
    reading = np.empty((ticks, 6))
    q = np.empty((ticks, 3))
    goal = np.full((ticks, 3), np.nan)
    burning: list[tuple[Light, ...]] = []
    delay = 0
    detour: NDArray[np.float64] | None = None
    for tick in range(ticks):
        if task.advance(tick * expert.action_dt_ns, arm.tip):
            delay = int(random.integers(0, 24))
        burning.append(task.things)
        if asked is not None:
            goal[tick] = aim(task.things)
        if random.random() < 0.02:
            detour = _random_posture(random) if random.random() < 0.35 else None
        sample = arm.read()
        reading[tick, :3], reading[tick, 3:] = sample.position, sample.velocity
        q[tick] = arm.q
        wanted = goal[max(0, tick - delay)] if detour is None else detour
        command = plan(sample.position[None], sample.velocity[None], wanted[None], 1, expert)[0, 0]
        disturbance = 0.8 * disturbance + 0.6 * strength_rad * random.standard_normal(3)
        arm.step(command + disturbance, expert.action_dt_ns)
    return _Track(asked, q, reading, burning, goal)


def _random_posture(random: np.random.Generator) -> NDArray[np.float64]:
    radius, bearing = random.uniform(0.25, 0.64), random.uniform(0.3, 2.85)
    return inverse((radius * np.cos(bearing), radius * np.sin(bearing)))
