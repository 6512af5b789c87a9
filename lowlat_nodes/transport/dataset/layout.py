# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The LeRobot dataset format v3.0: which files there are, and which columns.

Format: `lerobot/datasets` of LeRobot 0.4.4 to 0.6.1 (Apache-2.0), there `DatasetInfo` or
`create_empty_dataset_info`, `get_hf_features_from_features`, `write_tasks` and `_save_episode_metadata`.

======================================= ===================================================================
`meta/info.json`                        version, rate, totals, and `features`: dtype, shape, names of each
`meta/stats.json`                       min, max, mean, std, count and quantiles of each feature
`meta/tasks.parquet`                    `task_index` by `task`, the index of a pandas table
`meta/episodes/chunk-000/file-000...`   per episode: `tasks`, `length`, file of its frames, `stats/...`
`data/chunk-000/file-000.parquet`       per frame: a column for each feature, whole episodes in each file
======================================= ===================================================================
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lowlat_nodes.transport.dataset.arrow import pyarrow
from lowlat_nodes.transport.dataset.errors import DatasetError

VERSION = "v3.0"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILES_PER_CHUNK = 1000
FILE_MB = 100
_VIDEO_FILE_MB = 200

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
COUNTED: Mapping[str, str] = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""The features of every dataset: seconds and frames within the episode, episode, frame and task in all."""

_LARGEST_PX = 1 << 14
_NAME = frozenset(string.ascii_letters + string.digits + "_-.")


@dataclass(frozen=True)
class Layout:
    """The features of a dataset.

    Attributes:
        fps: Frames per second.
        state: Names of the values of `observation.state`; empty strings where the dataset has no names.
        action: Likewise of `action`.
        images: Height and width of `observation.images.NAME`, by that name; rgb.
        robot_type: What robot it is of, in the words of its owner.
    """

    fps: int
    state: tuple[str, ...]
    action: tuple[str, ...]
    images: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    robot_type: str = ""

    def features(self) -> dict[str, dict[str, Any]]:
        """Return the features as `meta/info.json` has them."""
        vectors = {
            name: {"dtype": "float32", "shape": [len(names)], "names": list(names)}
            for name, names in ((STATE, self.state), (ACTION, self.action))
        }
        axes = ["height", "width", "channels"]
        images = {
            IMAGES + name: {"dtype": "image", "shape": [*size, 3], "names": axes}
            for name, size in self.images.items()
        }
        counted = {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in COUNTED.items()}
        return {**vectors, **images, **counted}

    def schema(self) -> Any:
        """Return the pyarrow schema of the frames; a vector of one value is a plain column, as in LeRobot.

        Its metadata tell the `datasets` library of Hugging Face which columns are images.
        """
        arrow = pyarrow()
        image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        columns: list[tuple[str, Any]] = []
        known: dict[str, dict[str, Any]] = {}
        for name, feature in self.features().items():
            dtype, size = feature["dtype"], feature["shape"][0]
            if dtype == "image":
                columns.append((name, image))
                known[name] = {"_type": "Image"}
                continue
            value = {"dtype": dtype, "_type": "Value"}
            scalar = arrow.float32() if dtype == "float32" else arrow.int64()
            columns.append((name, scalar if size == 1 else arrow.list_(scalar, size)))
            known[name] = value if size == 1 else {"feature": value, "length": size, "_type": "Sequence"}
        return arrow.schema(columns, {"huggingface": json.dumps({"info": {"features": known}})})

    def info(self, *, episodes: int, frames: int, tasks: int) -> dict[str, Any]:
        """Return what `meta/info.json` holds."""
        return {
            "codebase_version": VERSION,
            "robot_type": self.robot_type or None,
            "total_episodes": episodes,
            "total_frames": frames,
            "total_tasks": tasks,
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": FILE_MB,
            "video_files_size_in_mb": _VIDEO_FILE_MB,
            "fps": self.fps,
            "splits": {"train": f"0:{episodes}"},
            "data_path": DATA,
            "video_path": None,
            "features": self.features(),
        }

    @staticmethod
    def from_info(info: Any, where: str) -> tuple[Layout, tuple[str, ...]]:
        """Return the layout that a `meta/info.json` describes, and the features that are of no use here.

        Args:
            info: The parsed file.
            where: Its name, for messages.

        Raises:
            DatasetError: If it is of another version, or has features that this package does not read.
        """
        if not isinstance(info, dict) or "codebase_version" not in info:
            raise DatasetError(
                f"{where}: expected the description of a LeRobot dataset, with codebase_version"
            )
        if info["codebase_version"] != VERSION:
            raise DatasetError(
                f"{where}: expected a dataset of version {VERSION}, got {info['codebase_version']!r:.40}; "
                f"LeRobot's convert_dataset_v21_to_v30 makes one of version v2.1"
            )
        if info.get("data_path") != DATA:
            raise DatasetError(
                f"{where}: expected data_path {DATA!r}, as LeRobot writes it, got "
                f"{info.get('data_path')!r:.80}"
            )
        features = info.get("features")
        if not isinstance(features, dict) or not all(isinstance(item, dict) for item in features.values()):
            raise DatasetError(f"{where}: expected features by name, got {features!r:.80}")
        videos = [name for name, feature in features.items() if feature.get("dtype") == "video"]
        if videos:
            raise DatasetError(
                f"{where}: {', '.join(videos)} are videos, which cannot be read here; expected dtype image: "
                f"record with LeRobot's --dataset.video=false (use_videos=False in Python)"
            )
        fps = info.get("fps")
        if not isinstance(fps, (int, float)) or not 1 <= fps <= 1000 or fps != int(fps):
            raise DatasetError(f"{where}: expected a whole number of fps from 1 to 1000, got {fps!r:.40}")
        missing = [name for name in (STATE, ACTION, *COUNTED) if name not in features]
        if missing:
            raise DatasetError(
                f"{where}: there is no feature {', '.join(missing)}, only {', '.join(features)}; a bag needs "
                f"joint states and commands"
            )
        images = {
            name.removeprefix(IMAGES): _size(name, feature, where)
            for name, feature in features.items()
            if feature.get("dtype") == "image" and name.startswith(IMAGES)
        }
        layout = Layout(
            int(fps),
            _names(STATE, features[STATE], where),
            _names(ACTION, features[ACTION], where),
            images,
            str(info.get("robot_type") or ""),
        )
        return layout, tuple(name for name in features if name not in layout.features())


def _names(name: str, feature: Mapping[str, Any], where: str) -> tuple[str, ...]:
    shape, names = feature.get("shape"), feature.get("names")
    if not (
        isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], int) and 0 < shape[0] < 1000
    ):
        raise DatasetError(f"{where}: {name}: expected a vector of up to 999 values, got shape {shape!r:.80}")
    if isinstance(names, dict) and len(names) == 1:  # {"motors": [...]}, in datasets that began as v2
        (names,) = names.values()
    if names is None:
        return ("",) * shape[0]
    if not isinstance(names, list) or len(names) != shape[0] or not all(isinstance(n, str) for n in names):
        raise DatasetError(f"{where}: {name}: expected {shape[0]} names, got {names!r:.200}")
    return tuple(names)


def _size(name: str, feature: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Return height and width, whichever axis comes first."""
    shape: Any = feature.get("shape")
    axes: Any = feature.get("names") or ["height", "width", "channels"]
    try:
        sizes = dict(zip(axes, shape, strict=True))
        height, width = sizes["height"], sizes["width"]
        fits = all(type(size) is int and 0 < size <= _LARGEST_PX for size in (height, width))
        fits = fits and sizes.get("channels", sizes.get("channel")) == 3
    except (TypeError, ValueError, KeyError):
        fits = False
    if not fits or not _NAME.issuperset(name):
        raise DatasetError(
            f"{where}: {name!r:.80}: expected an image [height, width, 3], got shape {shape!r:.80} with "
            f"names {axes!r:.80}"
        )
    return height, width
