# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes import NAMES, ShapeSamples, ShapesConfig, ShapeStream
from lowlat_nodes.sim.shapes.background import Photograph, View
from lowlat_nodes.sim.shapes.masks import Mask, rasterise, visible_extent
from lowlat_nodes.sim.shapes.motion import Motion
from lowlat_nodes.sim.shapes.outlines import OUTLINES, Contours, area
from lowlat_nodes.sim.shapes.skins import Skin, textures
from lowlat_nodes.stream.errors import ConfigurationError

GREY = np.full((400, 500, 3), 128, np.uint8)
CLEAN = ShapesConfig(occluders=0, defocus_px=(0.0, 0.0), noise=(0.0, 0.0), exposure_ms=(0.01, 0.01))
FINE = 8  # samples per px of the masks that boxes are compared with


def _noise(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (300, 400, 3), dtype=np.uint8)


def test_frames_have_the_asked_size_and_come_again_by_their_arguments() -> None:
    config = ShapesConfig(width_px=640, height_px=480, scale=2.0)
    one, two = (ShapeStream([GREY], config, seed=5).frame(123_000_000) for _ in range(2))
    assert one.image.shape == (480, 640, 3)
    assert one.image.dtype == np.uint8
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.truth.boxes, two.truth.boxes)
    other = ShapeStream([GREY], config, seed=6).frame(123_000_000)
    assert not np.array_equal(one.image, other.image)


def test_samples_come_in_any_order() -> None:
    samples = ShapeSamples([GREY, _noise()], seed=2)
    last = samples.frame(9)
    samples.frame(3)
    again = samples.frame(9)
    assert np.array_equal(last.image, again.image)
    assert np.array_equal(last.boxes, again.boxes)
    assert not np.array_equal(last.image, samples.frame(8).image)


def test_noise_differs_from_frame_to_frame() -> None:
    config = dataclasses.replace(CLEAN, shapes=(0, 0), noise=(8.0, 8.0))
    stream = ShapeStream([GREY], config)
    one, two = (stream.frame(time_ns).image.astype(float) for time_ns in (0, 1))
    one, two = (image - image.mean(axis=(0, 1)) for image in (one, two))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05
    # At half light: 8 x sqrt(1/16 + 15/16 x 1/2), give or take the exposure.
    assert 3.0 < one.std() < 8.0


def test_truth_without_an_image_is_that_of_the_frame() -> None:
    stream = ShapeStream([GREY], ShapesConfig(shapes=(9, 9)), seed=1)
    for time_ns in range(0, 3_000_000_000, 250_000_000):
        truth, frame = stream.truth(time_ns), stream.frame(time_ns)
        for field in dataclasses.fields(truth):
            assert np.array_equal(getattr(truth, field.name), getattr(frame.truth, field.name))


def test_truth_has_the_shapes_and_types_that_it_says() -> None:
    samples = ShapeSamples([GREY], seed=3)
    seen = set()
    for number in range(60):
        truth = samples.frame(number).truth
        count = len(truth.boxes)
        assert (truth.boxes.dtype, truth.boxes.shape) == (np.float32, (count, 4))
        assert (truth.labels.dtype, truth.labels.shape) == (np.int64, (count,))
        assert (truth.identities.dtype, truth.identities.shape) == (np.int64, (count,))
        assert (truth.velocities.dtype, truth.velocities.shape) == (np.float32, (count, 2))
        assert (truth.ignored.dtype, truth.ignored.shape[1]) == (np.float32, 4)
        boxes = np.concatenate([truth.boxes, truth.ignored])
        assert (boxes >= 0).all()
        assert (boxes <= 320).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        seen |= set(truth.labels.tolist())
    assert seen == set(range(len(NAMES)))


def test_sizes_are_those_asked_for() -> None:
    config = ShapesConfig(size_px=(10.0, 40.0), scale=2.0, width_px=640, height_px=640, occluders=0)
    sizes = []
    samples = ShapeSamples([GREY], config, seed=1)
    for number in range(60):
        boxes = samples.frame(number).boxes
        whole = (boxes[:, :2] > 0).all(axis=1) & (boxes[:, 2:] < 640).all(axis=1)
        sizes += (boxes[whole, 2:] - boxes[whole, :2]).max(axis=1).tolist()
    assert max(sizes) <= 80.001
    # Uniform in the logarithm: as many below the geometric mean as above; some are partly hidden.
    assert 0.4 < np.mean(np.array(sizes) < 40.0) < 0.65


def _filled(contours: Contours, width: int, height: int) -> NDArray[np.bool_]:
    """Which of the fine samples lie within a polygon with holes, line by line."""
    mask = np.zeros((height * FINE, width * FINE), dtype=bool)
    for row, y in enumerate((np.arange(height * FINE) + 0.5) / FINE):
        crossings: list[float] = []
        for polygon in contours:
            after = np.roll(polygon, -1, axis=0)
            crosses = (polygon[:, 1] <= y) != (after[:, 1] <= y)
            (x0, y0), (x1, y1) = polygon[crosses].T, after[crosses].T
            crossings += (x0 + (y - y0) * (x1 - x0) / (y1 - y0)).tolist()
        crossings.sort()
        for start, end in zip(crossings[::2], crossings[1::2], strict=True):
            first, last = (max(0, math.ceil(x * FINE - 0.5)) for x in (start, end))
            mask[row, first:last] = True
    return mask


def test_boxes_are_those_of_a_mask_with_many_samples_per_pixel() -> None:
    """Also of shapes that others or patches hide in part."""
    config = ShapesConfig(width_px=128, height_px=128, size_px=(8.0, 70.0), shapes=(4, 8))
    errors, shares = [], []
    for seed in range(12):
        stream = ShapeStream([GREY], config, seed)
        scene = stream.scene
        truth = stream.truth(0)
        masks = [_filled(thing.outline(0.0), 128, 128) for thing in scene.things]
        for box, identity in zip(truth.boxes, truth.identities.tolist(), strict=True):
            seen = masks[identity] & ~np.logical_or.reduce([*masks[identity + 1 :], np.zeros_like(masks[0])])
            columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
            errors.append(box - np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / FINE)
            shares.append(seen.sum() / FINE**2 / scene.things[identity].area_px)
    error = np.abs(errors)
    assert len(error) > 40
    assert min(shares) > config.visible - 0.03
    assert min(shares) < 0.9  # some are hidden in part
    assert error.mean() < 0.15
    # More where a sliver thinner than half a pixel is to be seen beyond what hides the rest.
    assert np.mean(error > 0.5) < 0.04


def test_what_is_drawn_lies_within_its_box() -> None:
    config = dataclasses.replace(CLEAN, shapes=(1, 1), contrast=120.0)
    samples = ShapeSamples([GREY], config, seed=8)
    for number in range(30):
        frame = samples.frame(number)
        background = np.median(frame.image[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0)
        rows, columns = np.nonzero(np.abs(frame.image - background).max(axis=2) > 4)
        drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.concatenate([*frame.boxes, *frame.truth.ignored]) - drawn).max() <= 1.5


def test_shapes_stand_out_from_what_is_behind_them() -> None:
    config = dataclasses.replace(CLEAN, shapes=(1, 1), size_px=(20.0, 60.0), gain=(1.0, 1.0))
    samples = ShapeSamples([GREY], config, seed=11)
    for number in range(30):
        frame = samples.frame(number)
        corner = np.median(frame.image[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0)
        (box,) = np.concatenate([frame.boxes, frame.truth.ignored])
        left, top, right, bottom = np.rint(box).astype(int)
        inside = frame.image[top:bottom, left:right].astype(float)
        distance = np.linalg.norm(inside - corner, axis=2)
        assert np.quantile(distance, 0.9) > 30.0


def test_shapes_move_at_the_velocities_of_the_truth() -> None:
    config = ShapesConfig(shapes=(4, 4), occluders=0, spin_rad_s=0.0, size_px=(10.0, 30.0))
    stream, step_ns, compared = ShapeStream([GREY], config, seed=4), 20_000_000, 0
    for number in range(60):
        one, two = stream.truth(number * step_ns), stream.truth((number + 1) * step_ns)
        for at, identity in enumerate(one.identities.tolist()):
            later = np.flatnonzero(two.identities == identity)
            if not later.size or not _whole(one.boxes[at], two.boxes[later[0]]):
                continue
            assert one.labels[at] == two.labels[later[0]]
            moved = two.boxes[later[0]] - one.boxes[at]
            if np.ptp(moved[[0, 2]]) + np.ptp(moved[[1, 3]]) < 1e-3:  # nothing hides a part of it
                assert moved[:2] == pytest.approx(one.velocities[at] * step_ns * 1e-9, abs=0.05)
                compared += 1
    assert compared > 60


def _whole(*boxes: NDArray[np.float32]) -> bool:
    return all((box > 1).all() and (box < 319).all() for box in boxes)


def test_motion_bounces_off_the_edges_and_keeps_its_speed() -> None:
    motion = Motion(90.0, 50.0, 30.0, 0.0, 0.0, 100.0, 80.0)
    assert motion.position(0.0) == (90.0, 50.0)
    assert motion.position(1.0) == pytest.approx((80.0, 50.0))
    assert motion.velocity(0.0) == (30.0, 0.0)
    assert motion.velocity(1.0) == (-30.0, 0.0)
    # There and back again.
    assert motion.position(200.0 / 30.0) == pytest.approx((90.0, 50.0))
    xs = [motion.position(0.1 * n)[0] for n in range(500)]
    assert min(xs) >= 0.0
    assert max(xs) <= 100.0


def test_what_is_mostly_hidden_is_ignored() -> None:
    config = ShapesConfig(shapes=(9, 9), size_px=(40.0, 160.0), visible=0.9)
    strict = ShapeStream([GREY], config, seed=2)
    mild = ShapeStream([GREY], dataclasses.replace(config, visible=0.1), seed=2)
    for time_ns in range(0, 2_000_000_000, 500_000_000):
        few, many = strict.truth(time_ns), mild.truth(time_ns)
        assert set(few.identities.tolist()) < set(many.identities.tolist())
        assert len(few.ignored) > len(many.ignored)
        assert len(few.boxes) + len(few.ignored) == 9


def _square(left: float, top: float, side: float) -> Mask:
    corners = np.array([(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)])
    corners += np.array((left, top))
    mask = rasterise((corners,), 100, 80, 1)
    assert mask is not None
    return mask


@pytest.mark.parametrize(
    ("nearer", "box", "share"),
    [
        ([], (10.3, 20.3, 30.3, 40.3), 1.0),
        ([_square(60, 60, 10)], (10.3, 20.3, 30.3, 40.3), 1.0),
        ([_square(20, 10, 40)], (10.3, 20.3, 20.0, 40.3), 9.7 / 20.0),
        # Side and corner: what is left is as wide and high as before.
        ([_square(20, 30, 40)], (10.3, 20.3, 30.3, 40.3), 1.0 - 0.515**2),
        ([_square(0, 0, 60)], None, 0.0),
        ([_square(10, 10, 11), _square(0, 20, 11), _square(5, 25, 30)], (11.0, 20.3, 30.3, 25.0), None),
    ],
)
def test_hand_made_occlusions(nearer: list[Mask], box: tuple[float, ...] | None, share: float | None) -> None:
    found, seen = visible_extent(_square(10.3, 20.3, 20.0), 400.0, nearer)
    if box is not None:
        assert found == pytest.approx(box, abs=0.51)
    if share is not None:
        assert seen == pytest.approx(share, abs=0.03)


def test_a_tip_beyond_the_frame_does_not_widen_the_box() -> None:
    corners = np.array([(10.0, 10.0), (50.0, -10.0), (20.0, 40.0)])
    mask = rasterise((corners,), 100, 80, 1)
    assert mask is not None
    # The upper edge crosses the border at 30, the right one at 44.
    assert mask.box == pytest.approx([10.0, 0.0, 44.0, 40.0])


def test_beyond_the_frame_there_is_nothing() -> None:
    corners = np.array([(0.0, 0.0), (5.0, 0.0), (0.0, 5.0)])
    assert rasterise((corners + np.array((200.0, 0.0)),), 100, 80, 1) is None
    box, share = visible_extent(_square(-10.0, 30.0, 20.0), 400.0, [])
    assert box.tolist() == [0.0, 30.0, 10.0, 50.0]
    assert share == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_outlines_cover_what_is_rasterised(name: str) -> None:
    contours = tuple(polygon * 20.0 + 32.0 for polygon in OUTLINES[name])
    mask = rasterise(contours, 64, 64, 1)
    assert mask is not None
    expected = area(contours[0]) - sum(area(hole) for hole in contours[1:])
    assert mask.cover.sum() / 255.0 == pytest.approx(expected, rel=0.06)
    assert mask.box == pytest.approx([*contours[0].min(axis=0), *contours[0].max(axis=0)])


def test_a_skin_keeps_its_distance() -> None:
    rng = np.random.default_rng(0)
    behind = rng.uniform(80.0, 170.0, (5, 3))
    for _ in range(50):
        skin = Skin.draw(rng, 30, 20.0, behind, 60.0)
        assert skin.pixels.shape == (30, 30, 3)
        assert np.linalg.norm(behind - skin.colour, axis=1).min() >= 60.0
        assert np.abs(skin.pixels.reshape(-1, 3).mean(axis=0) - skin.colour).max() < 41.0


def test_textures_repeat_without_a_seam() -> None:
    for texture in textures()[-3:].astype(int):  # the clouds; of stripes and checks an edge is no seam
        seam, inside = np.abs(texture[0] - texture[-1]), np.abs(texture[0] - texture[1])
        assert seam.mean() < 2.0 * inside.mean()


def test_the_camera_pans_over_the_photograph() -> None:
    config = dataclasses.replace(CLEAN, shapes=(0, 0), zoom=(1.0, 1.0), pan_px_s=20.0)
    ramp = np.tile((np.arange(1000) // 4).astype(np.uint8)[None, :, None], (600, 1, 3))
    view = View.draw([Photograph(ramp)], config, np.random.default_rng(1), moving=True)
    images = [view.render(0.05 * number).astype(float) for number in range(200)]
    assert all(image.shape == (320, 320, 3) for image in images)
    # A quarter of a grey level per px; at most 1 px a frame.
    steps = [np.abs(two - one).mean() for one, two in itertools.pairwise(images)]
    assert max(steps) < 0.5
    assert np.abs(images[0] - images[-1]).mean() > 1.0
    still = View.draw([Photograph(ramp)], config, np.random.default_rng(1), moving=False)
    assert np.array_equal(still.render(0.0), still.render(3.0))


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("size", [(90, 60), (400, 500)])
def test_photographs_of_any_size_fill_the_frame(size: tuple[int, int], moving: bool) -> None:
    config = dataclasses.replace(CLEAN, zoom=(0.5, 3.0))
    photograph = Photograph(np.full((*size, 3), 200, np.uint8))
    for seed in range(10):
        view = View.draw([photograph], config, np.random.default_rng(seed), moving=moving)
        assert (view.render(1.7) == 200).all()
        assert view.piece([photograph], 50, np.random.default_rng(seed)).shape == (50, 50, 3)


@pytest.mark.parametrize("moving", [False, True])
def test_colours_of_the_view_are_those_that_are_rendered(moving: bool) -> None:
    config = dataclasses.replace(CLEAN, zoom=(1.0, 1.0), recolour=True)
    colours = np.random.default_rng(3).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    patches = Photograph(colours.repeat(80, axis=0).repeat(80, axis=1))
    for seed in range(5):
        view = View.draw([patches], config, np.random.default_rng(seed), moving=moving)
        image = view.render(0.8).astype(float)
        points = np.random.default_rng(seed).uniform(10, 310, (40, 2))
        shown = image[points[:, 1].astype(int), points[:, 0].astype(int)]
        # A few lie at the border of a patch.
        assert np.median(np.abs(view.colours(points, 0.8) - shown).max(axis=1)) < 4.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width_px": 8}, "frame of 16 to 8192 px"),
        ({"scale": 0.0}, "scale: expected"),
        ({"shapes": (3, 2)}, "shapes: expected fewest and most"),
        ({"occluders": -1}, "occluders: expected"),
        ({"visible": 0.0}, "visible: expected"),
        ({"size_px": (20.0, 10.0)}, "size_px: expected smallest and largest"),
        ({"occluder_px": (0.0, 10.0)}, "occluder_px: expected"),
        ({"zoom": (0.0, 1.0)}, "zoom: expected"),
        ({"exposure_ms": (float("nan"), 1.0)}, "exposure_ms: expected"),
        ({"noise": (0.0, 300.0)}, "noise: expected"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ShapesConfig(**setting)


def test_a_stream_needs_photographs() -> None:
    with pytest.raises(ConfigurationError, match="at least one photograph"):
        ShapeStream([])
    with pytest.raises(ConfigurationError, match=r"uint8 \[height, width, 3\]"):
        ShapeStream([np.zeros((100, 100), np.uint8)])
