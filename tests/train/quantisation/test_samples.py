# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images to calibrate and to judge by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from cell_detector import write_scenes

from lowlat_nodes.sim.shapes import NAMES
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.train.quantisation.samples import (
    image_files,
    read_sample,
    rendered,
    spread,
)


def test_images_are_found_in_a_folder_and_below(tmp_path: Path) -> None:
    write_scenes(tmp_path / "b", 2)
    write_scenes(tmp_path / "a", 1)
    files = image_files(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        "a/000.png",
        "b/000.png",
        "b/001.png",
    ]
    sample = read_sample(files[1])
    assert sample.name.endswith("000.png")
    assert sample.truth is None


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ConfigurationError, match="expected images"):
        image_files(tmp_path)
    with pytest.raises(ConfigurationError, match="expected a folder"):
        image_files(tmp_path / "none")


def test_files_that_are_no_images_are_refused(tmp_path: Path) -> None:
    whole = (write_scenes(tmp_path / "scenes", 1) / "000.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no image")
    for name, said in {
        "cut.png": "cut short",
        "text.jpg": "expected jpeg",
        "none.png": "found nothing",
    }.items():
        with pytest.raises(ConfigurationError, match=said):
            read_sample(tmp_path / name)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))), (99, list(range(10)))],
)
def test_items_are_taken_evenly(count: int, expected: list[int]) -> None:
    assert spread(range(10), count) == expected


@pytest.mark.photographs
def test_shapes_are_rendered_for_a_model_of_shapes() -> None:
    calibration, judging = (rendered(split, 2, NAMES, 96, 64) for split in ("train", "test"))
    for sample in (*calibration, *judging):
        assert isinstance(sample.image, Image)
        assert sample.image.data.shape == (64, 96, 3)
        assert sample.truth is not None
        assert len(sample.truth.boxes) == len(sample.truth.labels)
    first, second = calibration[0].image, judging[0].image
    assert not np.array_equal(first.data, second.data)
    with pytest.raises(ConfigurationError, match="expected a model of these, got one of cat"):
        rendered("test", 1, ["cat"], 96, 64)
