# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Observations from the newest of each stream."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from lowlat_nodes.control.change import ChangeDetector
from lowlat_nodes.control.contract import CommandConfig, Contract, ObservationConfig, ObservationError
from lowlat_nodes.control.observer import NoObservation, Observer
from lowlat_nodes.control.policies.policy import ImageSpec, PolicySpec
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.payload import CompressedImage, Image

CONFIG = build(
    ObservationConfig,
    {
        "joints.names": ["a"],
        "camera": {
            name: {"topic": name, "width": 8, "height": 6, "compressed": name == "back"}
            for name in ("front", "back")
        },
    },
)
SPEC = PolicySpec(
    ("a",), ("position",), {"front": ImageSpec(6, 8), "back": ImageSpec(6, 8)}, True, 4, 20_000_000, (False,)
)
TIMEOUT = 500_000_000
GREY = np.full((6, 8, 3), 128, np.uint8)


def state(value: float, stamp_ns: int = 0) -> RobotState:
    return RobotState(stamp_ns, np.array([value]), np.zeros(1))


def png(image: np.ndarray) -> CompressedImage:
    return CompressedImage(np.asarray(cv2.imencode(".png", image[..., ::-1])[1]), "png")


@pytest.fixture
def observer() -> Observer:
    return Observer(CONFIG, Contract(CONFIG, CommandConfig(), SPEC))


def test_all_cameras_must_have_spoken(observer: Observer) -> None:
    observer.see("front", Image(GREY, "rgb8"), 100)
    with pytest.raises(NoObservation) as info:
        observer.observe(state(1.0), request=0, task="", launched_ns=0, align=False)
    assert info.value.reason == "no_image"


def test_observation_of_raw_and_compressed_images(observer: Observer) -> None:
    red = np.zeros_like(GREY)
    red[..., 0] = 255
    observer.see("front", Image(GREY, "rgb8"), 100)
    observer.see("back", png(red), 90)
    observation, image_ns = observer.observe(
        state(1.5), request=3, task="wave", launched_ns=90 + TIMEOUT, align=False
    )
    assert image_ns == 90
    assert (observation.images["front"] == GREY).all()
    assert (observation.images["back"] == red).all()
    assert observation.state.tolist() == [1.5]
    assert (observation.task, observation.request) == ("wave", 3)


def test_a_file_is_taken_as_its_format_says_and_as_the_camera_sees(observer: Observer) -> None:
    upper = np.zeros_like(GREY)
    upper[:3] = (200, 100, 0)
    swapped = CompressedImage(np.asarray(cv2.imencode(".png", upper)[1]), "rgb8; png compressed rgb8")
    jpeg = np.asarray(cv2.imencode(".jpg", upper[..., ::-1])[1]).tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"  # hold it upside down
    turned = jpeg[:2] + b"\xff\xe1" + (2 + len(exif)).to_bytes(2, "big") + exif + jpeg[2:]
    for image in (swapped, CompressedImage(np.frombuffer(turned, np.uint8), "jpeg")):
        observer.see("front", Image(GREY, "rgb8"), 100)
        observer.see("back", image, 100)
        seen, _ = observer.observe(state(1.0), request=0, task="", launched_ns=100, align=False)
        assert np.abs(seen.images["back"].astype(int)[[0, 5]] - upper[[0, 5]]).max() < 40


def test_the_oldest_image_decides_about_staleness(observer: Observer) -> None:
    observer.see("front", Image(GREY, "rgb8"), 500)
    observer.see("back", png(GREY), 90)
    with pytest.raises(NoObservation) as info:
        observer.observe(state(1.0), request=0, task="", launched_ns=91 + TIMEOUT, align=False)
    assert info.value.reason == "image_stale"


def test_the_state_of_the_images_time_is_taken_where_asked(observer: Observer) -> None:
    observer.see("front", Image(GREY, "rgb8"), 150)
    observer.see("back", png(GREY), 200)
    observer.remember([state(1.0, 100), state(2.0, 200), state(3.0, 300)])
    aligned, _ = observer.observe(state(9.0), request=0, task="", launched_ns=0, align=True)
    newest, _ = observer.observe(state(9.0), request=0, task="", launched_ns=0, align=False)
    assert aligned.state.tolist() == pytest.approx([1.5])
    assert newest.state.tolist() == [9.0]


@pytest.mark.parametrize(
    "payload",
    [
        Image(np.zeros((5, 8, 3), np.uint8), "rgb8"),
        CompressedImage(np.frombuffer(b"no picture", np.uint8), "jpeg"),
        CompressedImage(np.empty(0, np.uint8), "jpeg"),
        png(np.zeros((60, 80, 3), np.uint8)),
    ],
)
def test_a_bad_image_is_refused_and_the_former_one_stays(
    observer: Observer, payload: Image | CompressedImage
) -> None:
    observer.see("front", Image(GREY, "rgb8"), 100)
    observer.see("back", png(GREY), 100)
    with pytest.raises(ObservationError, match="expected"):
        observer.see("front", payload, 200)
    assert "expected" in observer.refusals["front"]
    _, image_ns = observer.observe(state(0.0), request=0, task="", launched_ns=0, align=False)
    assert image_ns == 100
    observer.see("front", Image(GREY, "rgb8"), 300)
    assert observer.refusals == {}


def claims(width: int, height: int) -> CompressedImage:
    """Return a small file whose head says that it is a huge image."""
    data = png(GREY).data.copy()
    head = np.frombuffer(struct.pack(">II", width, height), np.uint8)
    data[16:24] = head  # of the chunk IHDR
    return CompressedImage(data, "png")


def test_a_small_file_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ObservationError, match="expected at most 50000000 px, got 30000x30000"):
        observer.see("back", claims(30_000, 30_000), 100)
    assert not ChangeDetector(10.0).see(claims(30_000, 30_000))


def test_the_delay_counts_from_the_oldest_image(observer: Observer) -> None:
    observer.see("front", Image(GREY, "rgb8"), 50_000_000)
    observer.see("back", png(GREY), 30_000_000)

    def delay_rows(start_ns: int | None) -> float:
        asked = {"request": 0, "task": "", "launched_ns": 60_000_000, "align": False}
        return observer.observe(state(0.0), **asked, start_ns=start_ns)[0].delay_rows

    assert delay_rows(80_000_000) == 2.5
    assert delay_rows(20_000_000) == 0.0
    assert delay_rows(None) == 0.0


def test_the_delay_counts_from_the_launch_without_cameras_and_the_plan_is_in_units_of_the_policy() -> None:
    config = build(ObservationConfig, {"joints.names": ["a"], "joints.unit": "deg"})
    spec = PolicySpec(("a",), ("position",), {}, False, 4, 20_000_000, (False,))
    observer = Observer(config, Contract(config, CommandConfig(), spec))
    asked = {"request": 0, "task": "", "launched_ns": 60_000_000, "align": False}
    observation, image_ns = observer.observe(
        state(0.0), **asked, start_ns=90_000_000, decided=np.array([[np.pi], [0.0]]), committed=1
    )
    assert image_ns == 0
    assert observation.delay_rows == 1.5
    assert observation.decided == pytest.approx(np.array([[180.0], [0.0]]))
    assert observation.committed == 1
    nothing, _ = observer.observe(state(0.0), **asked, decided=np.empty((0, 1)))
    assert nothing.decided is None
