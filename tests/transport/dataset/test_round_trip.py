# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets written and read again: frames, files, row groups, figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.transport.dataset import DatasetError, DatasetReader, DatasetWriter, Layout, png
from lowlat_nodes.transport.dataset.statistics import QUANTILES

pytestmark = pytest.mark.dataset

HEIGHT, WIDTH = 12, 16
LAYOUT = Layout(20, ("a.pos", "b.pos"), ("a.pos", "b.pos"), {"front": (HEIGHT, WIDTH)}, "test_arm")
TASKS = ("pick", "place", "pick")


def frames(episode: int, count: int) -> list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], str]]:
    random = np.random.default_rng(episode)
    return [
        (
            random.normal(size=2).astype(np.float32),
            random.normal(size=2).astype(np.float32),
            {"front": random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)},
            TASKS[episode],
        )
        for _ in range(count)
    ]


def write(folder: Path, lengths: tuple[int, ...] = (7, 25, 1), **options: Any) -> Path:
    with DatasetWriter(folder, LAYOUT, **options) as writer:
        for episode, length in enumerate(lengths):
            writer.begin()
            for frame in frames(episode, length):
                writer.add(*frame)
    return folder


def groups(path: Path) -> list[int]:
    """The row groups of a Parquet file, in rows."""
    import pyarrow.parquet

    data = pyarrow.parquet.ParquetFile(path).metadata
    return [data.row_group(group).num_rows for group in range(data.num_row_groups)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[7, 25, 1]]),
        ({"group_bytes": 1}, [[1] * 33]),
        ({"file_bytes": 1}, [[7], [25], [1]]),
        ({"group_bytes": 4 * HEIGHT * WIDTH * 3}, [[4, 3, 4, 4, 4, 4, 4, 4, 1, 1]]),
    ],
)
def test_frames_come_back_however_they_are_grouped(
    options: dict[str, int], expected: list[list[int]], tmp_path: Path
) -> None:
    folder = write(tmp_path / "set", **options)
    assert [groups(path) for path in sorted(folder.glob("data/*/*"))] == expected
    reader = DatasetReader(folder)
    assert reader.layout == LAYOUT
    assert reader.tasks == ("pick", "place")
    assert reader.unused == ()
    assert [(item.index, item.start, item.length) for item in reader.episodes] == [
        (0, 0, 7),
        (1, 7, 25),
        (2, 32, 1),
    ]
    for episode in reversed(reader.episodes):
        found = list(reader.frames(episode))
        assert len(found) == episode.length
        for frame, (state, action, images, task) in zip(found, frames(episode.index, 25), strict=False):
            np.testing.assert_array_equal(frame.state, state)
            np.testing.assert_array_equal(frame.action, action)
            np.testing.assert_array_equal(png.decode(frame.images["front"], HEIGHT, WIDTH), images["front"])
            assert frame.task == task


def test_the_columns_are_those_of_lerobot(tmp_path: Path) -> None:
    import pyarrow.parquet

    folder = write(tmp_path / "set")
    table = pyarrow.parquet.read_table(folder / "data/chunk-000/file-000.parquet")
    assert {name: str(table.schema.field(name).type) for name in table.schema.names} == {
        "observation.state": "fixed_size_list<element: float>[2]",
        "action": "fixed_size_list<element: float>[2]",
        "observation.images.front": "struct<bytes: binary, path: string>",
        "timestamp": "float",
        "frame_index": "int64",
        "episode_index": "int64",
        "index": "int64",
        "task_index": "int64",
    }
    assert table["index"].to_pylist() == list(range(33))
    assert table["frame_index"].to_pylist() == [*range(7), *range(25), 0]
    assert table["task_index"].to_pylist() == [0] * 7 + [1] * 25 + [0]
    seconds = (np.arange(25) / 20).astype(np.float32)
    np.testing.assert_array_equal(table["timestamp"].to_numpy()[7:32], seconds)
    known = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert known["observation.images.front"] == {"_type": "Image"}
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 33, 2)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"]["observation.images.front"]["shape"] == [HEIGHT, WIDTH, 3]
    tasks = pyarrow.parquet.read_table(folder / "meta/tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0, 1], "task": ["pick", "place"]}
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_statistics_are_those_of_the_whole_table(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", group_bytes=1)
    everything = [frame for episode, length in enumerate((7, 25, 1)) for frame in frames(episode, length)]
    states = np.array([state for state, *_ in everything], np.float64)
    stats = json.loads((folder / "meta/stats.json").read_text())
    found = stats["observation.state"]
    np.testing.assert_allclose(found["mean"], states.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found["std"], states.std(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(found["min"], states.min(axis=0))
    np.testing.assert_array_equal(found["max"], states.max(axis=0))
    assert found["count"] == [33]
    for name, share in QUANTILES.items():
        np.testing.assert_allclose(found[name], np.quantile(states, share, axis=0))
    sampled = [0, 7, 17, 27, 32]  # every tenth image of each episode
    images = np.array([everything[row][2]["front"] for row in sampled]) / 255
    found = stats["observation.images.front"]
    assert np.shape(found["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(found["mean"]), images.mean(axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(np.ravel(found["std"]), images.std(axis=(0, 1, 2)), rtol=1e-9)
    assert found["count"] == [5]
    assert set(stats) == set(LAYOUT.features())


def test_a_robot_of_one_joint_has_plain_columns(tmp_path: Path) -> None:
    import pyarrow.parquet

    layout = Layout(10, ("a.pos",), ("a.pos",))
    with DatasetWriter(tmp_path / "set", layout) as writer:
        writer.begin()
        for number in range(3):
            writer.add(np.array([number], np.float32), np.array([-number], np.float32), {}, "")
    schema = pyarrow.parquet.read_schema(tmp_path / "set/data/chunk-000/file-000.parquet")
    assert str(schema.field("action").type) == "float"
    reader = DatasetReader(tmp_path / "set")
    assert [frame.action.tolist() for frame in reader.frames(reader.episodes[0])] == [[0.0], [-1.0], [-2.0]]


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="exists already"):
        DatasetWriter(tmp_path, LAYOUT)


def test_a_dataset_without_frames_is_refused(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "set", LAYOUT)
    with pytest.raises(DatasetError, match="at least one frame"):
        writer.close()


def test_an_episode_without_frames_is_refused(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "set", LAYOUT)
    writer.begin()
    with pytest.raises(DatasetError, match="an episode needs at least one frame"):
        writer.begin()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = DatasetWriter(tmp_path / "file" / "set", LAYOUT)
    with pytest.raises(DatasetError, match="Not a directory"):
        writer.begin()
