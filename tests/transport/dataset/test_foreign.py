# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets from elsewhere: other forms of the same, and what is refused with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.transport.dataset import DatasetError, DatasetReader, DatasetWriter, Layout, png

pytestmark = pytest.mark.dataset

LAYOUT = Layout(20, ("a.pos", "b.pos"), ("a.pos", "b.pos"), {"front": (12, 16)})
DATA, TASKS = "data/chunk-000/file-000.parquet", "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = np.zeros((12, 16, 3), np.uint8)
    with DatasetWriter(tmp_path / "set", LAYOUT) as writer:
        for _ in range(2):
            writer.begin()
            for number in range(5):
                row = np.array([number, -number], np.float32)
                writer.add(row, row, {"front": image}, "go")
    return tmp_path / "set"


def change_info(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "meta/info.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


def change_table(path: Path, change: Callable[[Any], Any]) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(path)), path)


def read_all(folder: Path) -> int:
    reader = DatasetReader(folder)
    return sum(1 for episode in reader.episodes for _ in reader.frames(episode))


def feature(name: str, **values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda info: info["features"][name].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda info: info.update(codebase_version="v2.1"),
            r"v3\.0, got 'v2\.1'.*convert_dataset_v21_to_v30",
        ),
        (lambda info: info.pop("codebase_version"), "expected the description of a LeRobot dataset"),
        (
            feature("observation.images.front", dtype="video"),
            r"images\.front are videos.*dataset.video=false",
        ),
        (lambda info: info.update(data_path="../{chunk_index}{file_index}"), "expected data_path"),
        (lambda info: info.update(fps=29.97), r"whole number of fps.*29\.97"),
        (lambda info: info.update(fps="30"), "whole number of fps"),
        (lambda info: info.update(fps=float("inf")), "whole number of fps"),
        (lambda info: info.update(fps=float("nan")), "whole number of fps"),
        (lambda info: info.update(features=[]), "expected features by name"),
        (lambda info: info["features"].pop("action"), "there is no feature action"),
        (feature("action", shape=[2, 2]), "action: expected a vector"),
        (feature("action", names=["a"]), "action: expected 2 names"),
        (feature("observation.images.front", shape=[12, 16, 1]), "expected an image"),
        (feature("observation.images.front", shape=[12, 1 << 40, 3]), "expected an image"),
        (feature("observation.images.front", shape=None), "expected an image"),
        (feature("action", shape=[3], names=None), "action: expected 3 numbers in each frame"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    change: Callable[[dict[str, Any]], Any], words: str, folder: Path
) -> None:
    change_info(folder, change)
    with pytest.raises(DatasetError, match=words):
        read_all(folder)


@pytest.mark.parametrize(
    "change",
    [
        feature("action", names=None),
        feature("action", names={"motors": ["a.pos", "b.pos"]}),
        feature("observation.images.front", shape=[3, 12, 16], names=["channels", "height", "width"]),
        lambda info: info["features"].update(reward={"dtype": "float32", "shape": [1], "names": None}),
        lambda info: info.update(fps=20.0, robot_type="so101", tools=[], total_videos=0),
    ],
)
def test_other_forms_of_the_same_are_read(change: Callable[[dict[str, Any]], Any], folder: Path) -> None:
    change_info(folder, change)
    assert read_all(folder) == 10


def test_tasks_in_an_index_without_a_name_are_read(folder: Path) -> None:
    change_table(folder / TASKS, lambda table: table.rename_columns(["task_index", "__index_level_0__"]))
    assert DatasetReader(folder).tasks == ("go",)


def without(name: str) -> Callable[[Any], Any]:
    return lambda table: table.drop_columns([name])


def of_lists(name: str) -> Callable[[Any], Any]:
    def change(table: Any) -> Any:
        lists = [[value] for value in table.column(name).to_pylist()]
        return table.set_column(table.schema.get_field_index(name), name, [lists])

    return change


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        (DATA, without("action"), "there is no column action"),
        (DATA, of_lists("episode_index"), "expected frames of episode 0, got others"),
        (DATA, lambda table: table.slice(0, 8), "expected 5 frames of episode 1, got 3"),
        (DATA, lambda table: table.slice(2), "expected frames of episode 0, got others"),
        (EPISODES, without("length"), "there is no column length"),
        (TASKS, without("task"), "expected the columns task and task_index"),
        (TASKS, lambda table: table.slice(0, 0), "expected tasks 0 to -1"),
    ],
)
def test_tables_that_contradict_the_description(
    path: str, change: Callable[[Any], Any], words: str, folder: Path
) -> None:
    change_table(folder / path, change)
    with pytest.raises(DatasetError, match=words):
        read_all(folder)


@pytest.mark.parametrize("path", [DATA, EPISODES, TASKS, "meta/info.json"])
@pytest.mark.parametrize("damage", ["cut", "noise", "gone"])
def test_a_damaged_file_is_named(path: str, damage: str, folder: Path) -> None:
    file = folder / path
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else bytes(reversed(data)))
    with pytest.raises(DatasetError, match=r"set|info\.json"):
        read_all(folder)


def test_a_folder_without_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no meta/info\.json"):
        DatasetReader(tmp_path)


def test_numbers_that_are_none(folder: Path) -> None:
    import pyarrow as pa

    def spoil(table: Any) -> Any:
        values = pa.array([[np.nan, 0.0]] * 10, table.schema.field("action").type)
        return table.set_column(table.schema.get_field_index("action"), table.schema.field("action"), values)

    change_table(folder / DATA, spoil)
    with pytest.raises(DatasetError, match="action: expected finite numbers in episode 0"):
        read_all(folder)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected a PNG file, got 0 bytes"),
        (b"\xff\xd8\xff\xe0" + bytes(60), "expected a PNG file"),
        (png.encode(np.zeros((8, 16, 3), np.uint8)), "expected an image of 16x12 px, got 16x8"),
        (png.encode(np.zeros((12, 16, 3), np.uint8))[:40], "cannot be decoded"),
    ],
)
def test_images_that_are_none(data: bytes, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        png.decode(data, 12, 16)
