# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotations from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from cell_detector import NAMES, scene, write_scenes

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.quantisation.coco import read_coco


def test_boxes_and_classes_come_as_they_were_written(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "scenes", 3)
    annotations = read_coco(folder / "labels.json", NAMES)
    assert annotations.files == ("000.png", "001.png", "002.png")
    assert annotations.left_out == ()
    for number, sample in zip([2, 0], annotations.samples(folder, [2, 0]), strict=True):
        _, boxes, labels = scene(number)
        assert sample.truth is not None
        np.testing.assert_array_equal(sample.truth.boxes, boxes)
        np.testing.assert_array_equal(sample.truth.labels, labels)
        assert sample.truth.ignored.shape == (0, 4)


def _content() -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.jpg"}, {"id": "6", "file_name": "sub/b.jpg"}],
        "annotations": [
            {"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"image_id": 5, "category_id": 1, "bbox": [0, 0, 50, 50], "iscrowd": 1},
            {"image_id": 5, "category_id": 2, "bbox": [9, 9, 9, 9]},
            {"image_id": 99, "category_id": 1, "bbox": [1, 1, 1, 1]},
        ],
        "categories": [{"id": 1, "name": "green"}, {"id": 2, "name": "purple"}],
    }


def _write(folder: Path, content: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


def test_crowds_are_ignored_and_foreign_categories_left_out(tmp_path: Path) -> None:
    annotations = read_coco(_write(tmp_path, _content()), NAMES)
    assert annotations.files == ("a.jpg", "sub/b.jpg")
    assert annotations.left_out == ("purple",)
    first, second = annotations.truths
    assert first.boxes.tolist() == [[1, 2, 4, 6]]
    assert first.labels.tolist() == [1]
    assert first.ignored.tolist() == [[0, 0, 50, 50]]
    assert second.boxes.shape == (0, 4)


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("images", to=None), "list of objects under 'images'"),
        (_set("images", to=[]), "expected images, got none"),
        (_set("annotations", to=[1]), "list of objects under 'annotations'"),
        (_set("annotations", 0, "bbox", to=[1, 2, 3]), "'bbox' of 4 finite numbers"),
        (_set("annotations", 0, "bbox", to=[1, 2, 3, "4"]), "'bbox' of 4 finite numbers"),
        (_set("annotations", 0, "bbox", to=[1, 2, 3, float("inf")]), "'bbox' of 4 finite numbers"),
        (_set("annotations", 0, "image_id", to=[]), "'image_id', a number or text, in annotations"),
        (_set("images", 0, "id", to=None), "'id', a number or text, in images"),
        (_set("images", 0, "file_name", to="../secret.jpg"), "below the folder"),
        (_set("images", 0, "file_name", to="/secret.jpg"), "below the folder"),
        (_set("categories", 0, "name", to="yellow"), "called as the model's classes, red, green, blue"),
    ],
)
def test_malformed_annotations_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    content = _content()
    change(content)
    with pytest.raises(ConfigurationError, match=said):
        read_coco(_write(tmp_path, content), NAMES)


@pytest.mark.parametrize("text", ["", "[1]", "null", "{", "[" * 100_000, '"' + "x" * 1000])
def test_files_that_are_no_annotations_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    with pytest.raises(ConfigurationError, match="found nothing at"):
        read_coco(path, NAMES)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"is no JSON|list of objects"):
        read_coco(path, NAMES)
