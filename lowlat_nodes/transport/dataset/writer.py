# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a dataset frame by frame; memory is bounded by one row group, however long an episode is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.dataset import layout as form
from lowlat_nodes.transport.dataset import png
from lowlat_nodes.transport.dataset.arrow import pyarrow, touching
from lowlat_nodes.transport.dataset.errors import DatasetError
from lowlat_nodes.transport.dataset.layout import ACTION, COUNTED, IMAGES, STATE, Layout
from lowlat_nodes.transport.dataset.statistics import ImageStatistics, Statistics, VectorStatistics

if TYPE_CHECKING:
    from typing_extensions import Self

GROUP_BYTES = 32 << 20
"""Encoded images that are kept before a row group is written."""
GROUP_FRAMES = 4096
"""Frames that are kept before a row group is written."""
IMAGE_EVERY = 10
"""Of how many images one enters the statistics, from the first of an episode on."""


class DatasetWriter:
    """Writes a new dataset: `begin` an episode, `add` its frames, `begin` the next.

    An episode lies whole in one file, in row groups of its own. A file that has grown to the limit of the
    format, 100 MB, ends with its episode.

    Args:
        folder: Where it is to be; it must not exist.
        layout: The features.
        group_bytes: See `GROUP_BYTES`.
        file_bytes: Size at which a file is followed by the next.

    Raises:
        DatasetError: If something is there already, or nothing can be written there.
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        *,
        group_bytes: int = GROUP_BYTES,
        file_bytes: int = form.FILE_MB * 1_000_000,
    ) -> None:
        self._schema = layout.schema()
        self._folder, self._layout = folder, layout
        self._group_bytes, self._file_bytes = group_bytes, file_bytes
        self._file = -1
        self._parquet: Any = None
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._frames = 0
        self._buffer = _Buffer(layout)
        self._encoded: dict[str, tuple[NDArray[np.uint8], bytes]] = {}
        self._episode: dict[str, Statistics] = {}
        self._total = self._statistics()
        if folder.exists():
            raise DatasetError(f"{folder}: exists already; choose another name or remove it")

    @property
    def episodes(self) -> int:
        """Return how many episodes there are, the one that is being written included."""
        return len(self._episodes)

    @property
    def frames(self) -> int:
        """Return how many frames there are."""
        return self._frames

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the tasks in the order of their numbers."""
        return tuple(self._tasks)

    def begin(self) -> None:
        """End the present episode, if any, and begin another.

        Raises:
            DatasetError: If the present one has no frames, or the disk takes no more.
        """
        self._end_episode()
        if self._parquet is None or self._path().stat().st_size >= self._file_bytes:
            self._next_file()
        chunk, file = divmod(self._file, form.FILES_PER_CHUNK)
        self._episode = self._statistics()
        self._episodes.append(
            {
                "episode_index": len(self._episodes),
                "tasks": [],
                "length": 0,
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )

    def add(
        self,
        state: NDArray[np.float32],
        action: NDArray[np.float32],
        images: Mapping[str, NDArray[np.uint8]],
        task: str,
    ) -> None:
        """Add a frame to the present episode, 1 / fps after the one before.

        An image that is the same object as in the frame before is not encoded again.

        Args:
            state: float32 [values].
            action: float32 [values].
            images: uint8 [height, width, 3], rgb, by name.
            task: What the robot was told to do.

        Raises:
            DatasetError: If the disk takes no more.
        """
        episode = self._episodes[-1]
        number = episode["length"]
        if task not in episode["tasks"]:
            episode["tasks"].append(task)
        for name, image in images.items():
            if number % IMAGE_EVERY == 0:
                self._count(IMAGES + name, image)
            if name not in self._encoded or self._encoded[name][0] is not image:
                self._encoded[name] = image, png.encode(image)
        self._buffer.add(
            state,
            action,
            {name: data for name, (_, data) in self._encoded.items()},
            (
                np.float32(number / self._layout.fps),
                number,
                episode["episode_index"],
                self._frames,
                self._tasks.setdefault(task, len(self._tasks)),
            ),
        )
        episode["length"] = number + 1
        self._frames = episode["dataset_to_index"] = self._frames + 1
        if self._buffer.image_bytes >= self._group_bytes or len(self._buffer) >= GROUP_FRAMES:
            self._flush()

    def close(self) -> None:
        """End the present episode and write the description of the dataset.

        Raises:
            DatasetError: If there are no frames, or the disk takes no more.
        """
        if not self._frames:
            raise DatasetError(f"{self._folder}: a dataset needs at least one frame, got none")
        self._end_episode()
        self._close_file()
        info = self._layout.info(episodes=len(self._episodes), frames=self._frames, tasks=len(self._tasks))
        self._write_json(form.INFO, info)
        self._write_json(form.STATS, {name: item.figures() for name, item in self._total.items()})
        self._write_table(form.TASKS, _tasks_table(self.tasks))
        table = pyarrow().Table.from_pylist(self._episodes)
        self._write_table(form.EPISODES.format(chunk_index=0, file_index=0), table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._close_file()

    def _end_episode(self) -> None:
        if not self._episodes:
            return
        if not self._episodes[-1]["length"]:
            raise DatasetError(f"{self._folder}: an episode needs at least one frame, got none")
        self._flush()
        for name, statistics in self._episode.items():
            figures = statistics.figures()
            self._episodes[-1] |= {f"stats/{name}/{figure}": value for figure, value in figures.items()}

    def _count(self, name: str, values: NDArray[Any]) -> None:
        self._episode[name].add(values)
        self._total[name].add(values)

    def _flush(self) -> None:
        if not len(self._buffer):
            return
        for name, column in self._buffer.numbers().items():
            self._count(name, column)
        with touching(self._path()):
            self._parquet.write_table(self._buffer.table(self._schema), row_group_size=len(self._buffer))
        self._buffer = _Buffer(self._layout)

    def _path(self) -> Path:
        chunk, file = divmod(self._file, form.FILES_PER_CHUNK)
        return self._folder / form.DATA.format(chunk_index=chunk, file_index=file)

    def _next_file(self) -> None:
        self._close_file()
        self._file += 1
        path = self._path()
        # An image compresses no further and is never looked for by its value.
        numbers = [name for name in self._schema.names if not name.startswith(IMAGES)]
        with touching(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._parquet = pyarrow().parquet.ParquetWriter(
                path, self._schema, compression="snappy", use_dictionary=numbers, write_statistics=numbers
            )

    def _close_file(self) -> None:
        if self._parquet is not None:
            with touching(self._path()):
                self._parquet.close()
            self._parquet = None

    def _statistics(self) -> dict[str, Statistics]:
        columns = {
            STATE: len(self._layout.state),
            ACTION: len(self._layout.action),
            **dict.fromkeys(COUNTED, 1),
        }
        images = {IMAGES + name: ImageStatistics() for name in self._layout.images}
        return {**{name: VectorStatistics(width) for name, width in columns.items()}, **images}

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        path = self._folder / name
        with touching(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")

    def _write_table(self, name: str, table: Any) -> None:
        path = self._folder / name
        with touching(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            pyarrow().parquet.write_table(table, path, compression="snappy")


class _Buffer:
    """The frames of the next row group."""

    def __init__(self, layout: Layout) -> None:
        self.image_bytes = 0
        self._vectors: dict[str, list[NDArray[np.float32]]] = {STATE: [], ACTION: []}
        self._images: dict[str, list[bytes]] = {name: [] for name in layout.images}
        self._counted: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._counted)

    def add(
        self,
        state: NDArray[np.float32],
        action: NDArray[np.float32],
        images: Mapping[str, bytes],
        counted: tuple[Any, ...],
    ) -> None:
        self._vectors[STATE].append(state)
        self._vectors[ACTION].append(action)
        for name, column in self._images.items():
            column.append(images[name])
            self.image_bytes += len(images[name])
        self._counted.append(counted)

    def numbers(self) -> dict[str, NDArray[Any]]:
        """Return the columns that are not images, [frames, values]."""
        counted = zip(*self._counted, strict=True)
        return {
            **{name: np.array(rows, np.float32) for name, rows in self._vectors.items()},
            **{
                name: np.array(values, dtype)[:, None]
                for (name, dtype), values in zip(COUNTED.items(), counted, strict=True)
            },
        }

    def table(self, schema: Any) -> Any:
        arrow = pyarrow()
        columns: dict[str, Any] = {}
        for name, values in self.numbers().items():
            flat = arrow.array(values.reshape(-1))
            width = values.shape[1]
            columns[name] = flat if width == 1 else arrow.FixedSizeListArray.from_arrays(flat, width)
        for name, files in self._images.items():
            paths = arrow.nulls(len(files), arrow.string())
            data = arrow.array(files, arrow.binary())
            columns[IMAGES + name] = arrow.StructArray.from_arrays([data, paths], ["bytes", "path"])
        return arrow.table([columns[name] for name in schema.names], schema=schema)


def _tasks_table(tasks: tuple[str, ...]) -> Any:
    """Return the tasks by number, with `task` as the index that pandas restores from the metadata."""
    arrow = pyarrow()
    kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, (kind, numpy) in kinds.items()
        ],
        "creator": {"library": "pyarrow", "version": arrow.__version__},
        "pandas_version": "2.0.0",
    }
    columns = {"task_index": arrow.array(range(len(tasks)), arrow.int64()), "task": arrow.array(tasks)}
    return arrow.table(columns).replace_schema_metadata({"pandas": json.dumps(pandas)})
