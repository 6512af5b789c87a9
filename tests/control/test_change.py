# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Abrupt changes of the simulated scene: lights are, motion and noise are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.control.change import ChangeDetector
from lowlat_nodes.sim.camera import CameraConfig, TableCamera
from lowlat_nodes.sim.reaction import COLOURS, Light
from lowlat_nodes.stream.payload import CompressedImage, Image

THRESHOLD = 40.0
FRAME_S = 1 / 30
CAMERAS = [CameraConfig(160, 120), CameraConfig(640, 480)]


def light(random: np.random.Generator) -> Light:
    radius, bearing = random.uniform(0.32, 0.60), random.uniform(0.45, 2.70)
    colour = COLOURS[int(random.integers(len(COLOURS)))]
    return Light(0, colour, True, radius * np.cos(bearing), radius * np.sin(bearing), 0, 1)


def pose(random: np.random.Generator) -> NDArray[np.float64]:
    return random.uniform([0.3, -1.0, -1.0], [2.5, 1.5, 1.0])


def image(pixels: NDArray[np.uint8]) -> Image:
    return Image(pixels, "rgb8")


@pytest.mark.parametrize("config", CAMERAS)
def test_a_light_that_goes_on_or_off_is_a_change(config: CameraConfig) -> None:
    camera, random = TableCamera(config), np.random.default_rng(1)
    for _ in range(40):
        detector, q, shown = ChangeDetector(THRESHOLD), pose(random), light(random)
        q_later = q + 0.5 * FRAME_S  # the arm moves meanwhile
        assert not detector.see(image(camera.render(q)))
        assert detector.see(image(camera.render(q_later, [shown])))
        assert not detector.see(image(camera.render(q_later, [shown])))
        assert detector.see(image(camera.render(q, [])))


@pytest.mark.parametrize("config", CAMERAS)
@pytest.mark.parametrize("speed_rad_s", [0.2, 0.5, 1.0, 2.0])
def test_an_arm_that_moves_is_none(config: CameraConfig, speed_rad_s: float) -> None:
    camera, random = TableCamera(config), np.random.default_rng(2)
    for _ in range(10):
        detector, q, shown = ChangeDetector(THRESHOLD), pose(random), light(random)
        step = random.choice([-1.0, 1.0], 3) * speed_rad_s * FRAME_S
        for _ in range(6):
            assert not detector.see(image(camera.render(q, [shown])))
            q = q + step


def test_noise_and_a_slow_change_of_brightness_are_none() -> None:
    camera, random = TableCamera(CameraConfig(160, 120)), np.random.default_rng(3)
    detector, still = ChangeDetector(THRESHOLD), camera.render([0.8, 0.4, 0.2]).astype(float)
    for frame in range(30):
        pixels = 0.5 * still + 3.0 * frame + random.normal(0.0, 10.0, still.shape)
        assert not detector.see(image(pixels.clip(0, 255).astype(np.uint8)))


def test_files_are_looked_at_too_and_what_is_none_is_no_change() -> None:
    camera, detector = TableCamera(CameraConfig(640, 480)), ChangeDetector(THRESHOLD)
    shown = light(np.random.default_rng(4))

    def file(pixels: NDArray[np.uint8]) -> CompressedImage:
        return CompressedImage(cv2.imencode(".jpg", pixels)[1].ravel(), "jpeg")

    dark, lit = (file(camera.render([0.8, 0.4, 0.2], things)) for things in ([], [shown]))
    assert not detector.see(dark)
    assert not detector.see(CompressedImage(np.frombuffer(b"no image", np.uint8), "jpeg"))
    assert not detector.see(CompressedImage(np.empty(0, np.uint8), "jpeg"))
    assert detector.see(lit)


def test_the_first_frame_and_one_of_another_size_are_none() -> None:
    detector = ChangeDetector(THRESHOLD)
    for height, width in ((60, 80), (120, 160), (2, 3), (1, 1)):
        for _ in range(2):
            assert not detector.see(image(np.full((height, width, 3), height, np.uint8)))
    for mono in (0, 0, 200):
        changed = detector.see(Image(np.full((60, 80), mono, np.uint8), "mono8"))
    assert changed
