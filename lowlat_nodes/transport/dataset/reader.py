# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a dataset episode by episode; memory is bounded by one row group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.dataset import layout as form
from lowlat_nodes.transport.dataset.arrow import pyarrow, touching
from lowlat_nodes.transport.dataset.errors import DatasetError
from lowlat_nodes.transport.dataset.layout import ACTION, IMAGES, STATE, Layout

_INFO_LIMIT_BYTES = 16 << 20
_ROWS_LIMIT = 10_000_000  # of tasks and episodes
_BATCH_FRAMES = 32
_EPISODE = (
    "episode_index",
    "length",
    "data/chunk_index",
    "data/file_index",
    "dataset_from_index",
    "dataset_to_index",
)


@dataclass(frozen=True, slots=True)
class Episode:
    """Where the frames of an episode are.

    Attributes:
        index: Its number.
        start: Number of its first frame in the dataset.
        length: Number of its frames.
        path: The file that holds them.
    """

    index: int
    start: int
    length: int
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        state: float32 [values].
        action: float32 [values].
        images: PNG files by name.
        task: What the robot was told to do.
    """

    state: NDArray[np.float32]
    action: NDArray[np.float32]
    images: Mapping[str, bytes]
    task: str


class DatasetReader:
    """An existing dataset.

    Args:
        folder: The folder that holds `meta` and `data`.

    Attributes:
        layout: The features.
        unused: Further features that it has.
        tasks: The tasks by number.
        episodes: The episodes in their order.

    Raises:
        DatasetError: If there is none, it is of another version, or it contradicts itself.
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.layout, self.unused = Layout.from_info(self._info(), str(folder / form.INFO))
        self.tasks = self._tasks()
        self.episodes = self._episodes()
        self._first: dict[Path, int] = {}
        for episode in self.episodes:
            self._first[episode.path] = min(episode.start, self._first.get(episode.path, episode.start))

    def frames(self, episode: Episode) -> Iterator[Frame]:
        """Yield the frames of an episode.

        Raises:
            DatasetError: If they are not there, or not what the description says.
        """
        count = 0
        for batch in self._batches(episode):
            columns = {name: batch.column(name) for name in batch.schema.names}
            states = self._vectors(columns[STATE], len(self.layout.state), episode, STATE)
            actions = self._vectors(columns[ACTION], len(self.layout.action), episode, ACTION)
            tasks = columns["task_index"].to_pylist()
            images = {name: self._files(columns[IMAGES + name], episode) for name in self.layout.images}
            if any(index != episode.index for index in columns["episode_index"].to_pylist()):
                raise DatasetError(f"{episode.path}: expected frames of episode {episode.index}, got others")
            if not all(type(task) is int and 0 <= task < len(self.tasks) for task in tasks):
                raise DatasetError(f"{episode.path}: expected tasks 0 to {len(self.tasks) - 1}, got others")
            for row, task in enumerate(tasks):
                files = {name: column[row] for name, column in images.items()}
                yield Frame(states[row], actions[row], files, self.tasks[task])
            count += len(tasks)
        if count != episode.length:
            raise DatasetError(
                f"{episode.path}: expected {episode.length} frames of episode {episode.index}, got {count}; "
                f"the file is not the one that {form.INFO} describes"
            )

    def _info(self) -> Any:
        path = self._folder / form.INFO
        if not path.is_file():
            raise DatasetError(f"{self._folder}: expected a LeRobot dataset, there is no {form.INFO} in it")
        with touching(path):
            if path.stat().st_size > _INFO_LIMIT_BYTES:
                raise DatasetError(f"{path}: expected at most {_INFO_LIMIT_BYTES >> 20} MiB")
            text = path.read_bytes()
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{path}: expected JSON: {error}") from error

    def _rows(self, path: Path, columns: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        with touching(path):
            file = pyarrow().parquet.ParquetFile(path)
            if file.metadata.num_rows > _ROWS_LIMIT:
                raise DatasetError(f"{path}: expected at most {_ROWS_LIMIT} rows")
            missing = set(columns) - set(file.schema_arrow.names)
            if missing:
                raise DatasetError(f"{path}: there is no column {', '.join(sorted(missing))}")
            rows: list[dict[str, Any]] = file.read(list(columns) or None).to_pylist()
        return rows

    def _tasks(self) -> tuple[str, ...]:
        """Return the tasks; their column is the index of a pandas table, which need not have a name."""
        path = self._folder / form.TASKS
        tasks = {}
        for row in self._rows(path):
            texts = [value for name, value in row.items() if name in ("task", "__index_level_0__")]
            if len(texts) != 1 or not isinstance(texts[0], str) or type(row.get("task_index")) is not int:
                raise DatasetError(f"{path}: expected the columns task and task_index, got {row!r:.80}")
            tasks[row["task_index"]] = texts[0]
        if sorted(tasks) != list(range(len(tasks))):
            raise DatasetError(f"{path}: expected tasks numbered from 0, got {sorted(tasks)!r:.80}")
        return tuple(tasks[number] for number in range(len(tasks)))

    def _episodes(self) -> list[Episode]:
        folder = self._folder / "meta" / "episodes"
        episodes = []
        for path in sorted(folder.glob("*/*.parquet")):
            for row in self._rows(path, _EPISODE):
                if not all(type(value) is int and value >= 0 for value in row.values()):
                    raise DatasetError(f"{path}: expected whole numbers, got {row!r:.200}")
                index, length, chunk, file, start, end = (row[name] for name in _EPISODE)
                if end - start != length:
                    raise DatasetError(
                        f"{path}: episode {index}: expected {length} frames, got {end - start}"
                    )
                where = self._folder / form.DATA.format(chunk_index=chunk, file_index=file)
                episodes.append(Episode(index, start, length, where))
        if not episodes:
            raise DatasetError(f"{folder}: expected Parquet files of episodes, there is none")
        return sorted(episodes, key=lambda episode: episode.index)

    def _batches(self, episode: Episode) -> Iterator[Any]:
        """Yield record batches of an episode's rows, from the row groups that hold them."""
        path = episode.path
        needed = [
            STATE,
            ACTION,
            "episode_index",
            "task_index",
            *(IMAGES + name for name in self.layout.images),
        ]
        with touching(path):
            file = pyarrow().parquet.ParquetFile(path)
            missing = set(needed) - set(file.schema_arrow.names)
            if missing:
                raise DatasetError(f"{path}: there is no column {', '.join(sorted(missing))}")
            first = episode.start - self._first[path]
            row = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if row + rows > first and row < first + episode.length:
                    yield from _rows_of(file, group, needed, range(first - row, first + episode.length - row))
                row += rows

    def _vectors(self, column: Any, size: int, episode: Episode, name: str) -> NDArray[np.float32]:
        """Return float32 [frames, size]; a vector of one value is a plain column."""
        try:
            flat = column if size == 1 and not hasattr(column, "flatten") else column.flatten()
            values = np.asarray(flat.to_numpy(zero_copy_only=False), np.float32)
            table = values.reshape(len(column), size)
        except (TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{episode.path}: {name}: expected {size} numbers in each frame") from error
        if not np.isfinite(table).all():
            raise DatasetError(f"{episode.path}: {name}: expected finite numbers in episode {episode.index}")
        return table

    def _files(self, column: Any, episode: Episode) -> list[bytes]:
        files: list[bytes] = []
        for item in column.to_pylist():
            data = item.get("bytes") if isinstance(item, dict) else None
            if not isinstance(data, bytes):
                raise DatasetError(
                    f"{episode.path}: expected the bytes of an image in each frame, got {data!r}"
                )
            files.append(data)
        return files


def _rows_of(file: Any, group: int, columns: list[str], wanted: range) -> Iterator[Any]:
    """Yield batches of the rows of a row group whose numbers are wanted."""
    row = 0
    for batch in file.iter_batches(_BATCH_FRAMES, row_groups=[group], columns=columns):
        low, high = max(wanted.start - row, 0), min(wanted.stop - row, batch.num_rows)
        if low < high:
            yield batch.slice(low, high - low)
        row += batch.num_rows
