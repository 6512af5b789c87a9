# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded bags of a robot -> a LeRobot dataset."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.topics import COMMAND_TYPES, STATE_TYPES, check_topic
from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.sampler import Sampler, Sampling, Step
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.transport.bag import BagReader, Codec
from lowlat_nodes.transport.bag.names import absolute
from lowlat_nodes.transport.dataset import DatasetWriter, Layout

_TASK_TYPES = ("std_msgs/msg/String",)


def write_dataset(
    bags: Sequence[Path],
    folder: Path,
    config: ControlConfig,
    sampling: Sampling,
    *,
    node: str,
    robot_type: str = "",
) -> dict[str, Any]:
    """Write the demonstrations of some bags as one dataset, which is there when it is complete.

    Args:
        bags: The bags; each begins a new episode.
        folder: Where the dataset is to be.
        config: The parameters of the robot's policy node: which topics, joints, cameras and units.
        sampling: Grid and episodes.
        node: What `~` stands for in the names of topics.
        robot_type: For the description.

    Returns:
        What came of it, as `lowlat dataset --json` prints it.

    Raises:
        ConfigurationError: If a bag has not the topics of the parameters, or not one episode came of all.
        DatasetError: If the dataset cannot be written.
    """
    sampler = Sampler(config, sampling)
    joints = config.observation.joints.names
    positions = tuple(f"{name}.pos" for name in joints)
    velocities = tuple(f"{name}.vel" for name in joints) if sampling.velocities else ()
    sizes = {name: (camera.height, camera.width) for name, camera in sampler.cameras.items()}
    layout = Layout(sampling.fps, positions + velocities, positions, sizes, robot_type)
    damage: list[str] = []
    unreadable = Counters()
    with tempfile.TemporaryDirectory(prefix=".lowlat_dataset_", dir=folder.parent) as made:
        with DatasetWriter(Path(made) / "dataset", layout) as writer:
            for path in bags:
                with BagReader(path) as bag:
                    for step in _steps(bag, sampler, node, unreadable):
                        if step.first:
                            writer.begin()
                        writer.add(step.state, step.action, step.images, step.task)
                    damage += [f"{path}: {text}" for text in bag.damage]
            if not writer.frames:
                raise ConfigurationError(_nothing(sampler))
        (Path(made) / "dataset").rename(folder)
    return {
        "dataset": str(folder),
        "fps": sampling.fps,
        "episodes": writer.episodes,
        "frames": writer.frames,
        "tasks": list(writer.tasks),
        "cuts": sampler.cuts.snapshot(),
        "short_episodes_left_out": sampler.short,
        "messages_left_out": {**unreadable.snapshot(), **sampler.left_out.snapshot()},
        "refusals": sampler.refusals,
        "damage": damage,
    }


def _steps(bag: BagReader, sampler: Sampler, node: str, unreadable: Counters) -> Iterator[Step]:
    """Yield the steps of one bag."""
    streams = {absolute(stream, node): stream for stream in sampler.inputs}
    _check_topics(bag, sampler, node)
    sampler.begin_anew()
    codec = Codec()
    for sequence, recorded in enumerate(bag.messages(streams)):
        try:
            message = codec.decode(streams[recorded.topic], recorded, sequence)
        except LowlatError:
            unreadable.add("cannot be read")
            continue
        yield from sampler.take(message)
    yield from sampler.finish()


def _check_topics(bag: BagReader, sampler: Sampler, node: str) -> None:
    joints, *cameras, task, commands = (absolute(stream, node) for stream in sampler.inputs)
    check_topic(bag, joints, STATE_TYPES)
    check_topic(bag, commands, COMMAND_TYPES)
    for topic, camera in zip(cameras, sampler.cameras.values(), strict=True):
        check_topic(bag, topic, (camera.type_name,))
    if task in {topic.name for topic in bag.topics}:
        check_topic(bag, task, _TASK_TYPES)
    else:
        print(f"{bag.path}: no topic {task}: the task is the text of the parameters", file=sys.stderr)


def _nothing(sampler: Sampler) -> str:
    """Say why there is no episode."""
    reasons = [f"{count} x {reason}" for reason, count in sampler.cuts.snapshot().items()]
    if sampler.short:
        reasons.append(f"{sampler.short} episodes of fewer than the least number of frames")
    if sampler.waiting_for:
        reasons.append(f"{sampler.waiting_for} at the end")
    reasons += [f"{stream}: {text}" for stream, text in sampler.refusals.items()]
    return (
        f"not one episode came of the bags ({'; '.join(reasons) or 'they are too short'}); expected joint "
        f"states, images and commands at the same time, no older than the timeouts of the parameters"
    )
