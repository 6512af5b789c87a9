# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the recorder node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.nodes.bag.disk import Bounds
from lowlat_nodes.nodes.bag.recording import BagForm
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag.writer import COMPRESSIONS, SUFFIX
from lowlat_nodes.transport.zmq.curve import load_client_keys
from lowlat_nodes.transport.zmq.endpoint import check_endpoint
from lowlat_nodes.transport.zmq.tap import Tap

_MB = 1_000_000


@dataclass(frozen=True)
class RecordedPublisher:
    """A ZeroMQ publisher; its topics are called NAME:TOPIC in the bag."""

    endpoint: str = setting(doc="Address of the publisher, such as tcp://127.0.0.1:5557.")
    topics: tuple[str, ...] = setting((), doc="Its topics; empty for all.")
    heartbeats: bool = setting(False, doc="Whether its heartbeats are recorded too.")
    key: str = setting("", doc="Keys of the node, by name or secret file, where the publisher wants some.")
    server_key: str = setting("", doc="Public key of the publisher, or its name or file; goes with key.")

    def __post_init__(self) -> None:
        check_endpoint(self.endpoint)
        if bool(self.key) != bool(self.server_key):
            raise ConfigurationError("expected key and server_key together, or neither of them")

    def tap(self) -> Tap:
        """Return what listens to it.

        Raises:
            ConfigurationError: If a topic is none, or the keys cannot be had.
        """
        keys = load_client_keys(self.key, self.server_key) if self.key else None
        return Tap(self.endpoint, self.topics, clock=SystemClock(), keys=keys, heartbeats=self.heartbeats)


@dataclass(frozen=True)
class BagSettings:
    """How a bag is written, and where it ends by itself."""

    compression: str = setting(
        "none", doc="Compression of chunks: lz4 takes little time, zstd little room.", choices=[*COMPRESSIONS]
    )
    split_mb: float = setting(
        0.0, unit="MB", low=0.0, high=1e7, doc="A new file is begun at this size; 0 keeps to one file."
    )
    max_mb: float = setting(
        0.0, unit="MB", low=0.0, high=1e9, doc="Recording stops when the bag has this size; 0: any."
    )
    min_free_mb: float = setting(
        1000.0, unit="MB", low=0.0, high=1e9, doc="Recording stops where the disk has less free; 0 fills it."
    )
    cache_mb: float = setting(
        256.0, unit="MB", low=1.0, high=1e5, doc="How much may wait for the disk; what comes then is dropped."
    )

    def form(self) -> BagForm:
        """Return the same in bytes."""
        return BagForm(
            self.compression,
            int(self.split_mb * _MB),
            int(self.cache_mb * _MB),
            Bounds(int(self.min_free_mb * _MB), int(self.max_mb * _MB)),
        )


@dataclass(frozen=True, kw_only=True)
class RecorderConfig(NodeSettings):
    """Everything that the recorder node can be told."""

    folder: str = setting("~/bags", doc="Where the bags go; made if it is not there.")
    name: str = setting(
        "lowlat_%Y_%m_%d-%H_%M_%S",
        doc="Name of a bag, with the local time of its activation as strftime writes it; one that ends in "
        ".mcap is a single file. A bag that is there is never overwritten: the next one gets a number.",
    )
    topics: tuple[str, ...] = setting(
        (), doc="ROS topics, which may appear later; empty: all that are not hidden, new ones too."
    )
    exclude: str = setting(
        "", doc="Regular expression of ROS topics to leave out, matching whole names; .* leaves out all."
    )
    bag: BagSettings = section(BagSettings, doc="How a bag is written.")
    zmq: Mapping[str, RecordedPublisher] = group(
        RecordedPublisher, doc="ZeroMQ publishers that are recorded too."
    )

    def __post_init__(self) -> None:
        """Refuse what makes no bag.

        Raises:
            ConfigurationError: If the name is none, or a single file is to be split.
        """
        name = time.strftime(self.name)
        if not name or name != Path(name).name:
            raise ConfigurationError(
                f"name: expected the name of a bag in the folder, without /, got {self.name!r}"
            )
        if name.endswith(SUFFIX) and self.bag.split_mb:
            raise ConfigurationError(
                f"bag.split_mb: expected 0 where name ends in {SUFFIX}, which is a single file; "
                f"got {self.bag.split_mb:g}"
            )

    def new_path(self) -> Path:
        """Return where the next bag goes: a path at which there is nothing."""
        path = wanted = Path(self.folder).expanduser() / time.strftime(self.name)
        suffix = SUFFIX if wanted.suffix == SUFFIX else ""
        number = 1
        while path.exists():
            number += 1
            path = wanted.with_name(f"{wanted.name.removesuffix(SUFFIX)}_{number}{suffix}")
        return path
