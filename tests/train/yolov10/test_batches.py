# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from rectangles import COLOURS, Rectangles, rectangles

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def _check(image: np.ndarray, rows: np.ndarray) -> None:
    for x1, y1, x2, y2, label in rows.astype(int):
        assert (image[y1:y2, x1:x2] == COLOURS[label]).all()
        assert int((image == COLOURS[label]).all(-1).sum()) >= (x2 - x1) * (y2 - y1)


def test_boxes_turn_with_their_images() -> None:
    from lowlat_nodes.train.yolov10.batches import collect

    batches = collect(rectangles(60, seed=1), 8)
    for batch in itertools.islice(batches, 6):
        assert batch.images.shape == (8, 60, 60, 3)
        for image, rows in zip(batch.images, batch.rows, strict=True):
            assert rows.dtype == np.float32
            assert (rows[:, 2:4] > rows[:, :2]).all()
            _check(image, rows)


def test_each_frame_is_shown_as_often_as_asked() -> None:
    from lowlat_nodes.train.yolov10.batches import collect

    frames = (
        Rectangles(
            np.full((32, 32, 3), number, np.uint8), np.empty((0, 4), np.float32), np.empty(0, np.int64)
        )
        for number in range(40)
    )
    shown = [batch.images[:, 0, 0, 0].tolist() for batch in collect(frames, 4, copies=2)]
    assert shown[:3] == [[0, 1], [2, 3, 0, 1], [4, 5, 2, 3]]
    assert len(shown) == 20


def test_a_batch_is_what_the_network_takes() -> None:
    from lowlat_nodes.train.yolov10.batches import collect

    images, truth = next(collect(rectangles(64, seed=2), 4)).tensors()
    assert images.shape == (4, 3, 64, 64)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert 0.0 <= float(images.min()) <= float(images.max()) <= 1.0
    assert truth.boxes.shape[:2] == truth.classes.shape == truth.real.shape


@pytest.mark.photographs
def test_a_process_makes_them_ahead_of_time() -> None:
    pytest.importorskip("skimage")
    from lowlat_nodes.train.detector import training_batches
    from lowlat_nodes.train.yolov10.batches import BatchProcess

    make = functools.partial(training_batches, 4, 128, 3)
    with BatchProcess(make) as batches:
        made = list(itertools.islice(batches, 3))
        assert batches.cpu_s > 0.0
    for batch, expected in zip(made, make(), strict=False):
        assert np.array_equal(batch.images, expected.images)
        assert all(np.array_equal(a, b) for a, b in zip(batch.rows, expected.rows, strict=True))


def test_a_process_that_dies_is_noticed(capfd: pytest.CaptureFixture[str]) -> None:
    from lowlat_nodes.train.yolov10.batches import BatchProcess

    make = functools.partial(int, "no number")
    with BatchProcess(make) as batches, pytest.raises(RuntimeError, match="ended with 1"):
        next(batches)
    assert "no number" in capfd.readouterr().err
