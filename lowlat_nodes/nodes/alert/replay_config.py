# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the alert replay node, and the night that they describe."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.timetable import Timetable, as_recorded, evenly
from lowlat_nodes.nodes.alert.packet_targets import FORMS, check_target
from lowlat_nodes.nodes.alert.replay import read_packets
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.sim.alert_source import simulated_alerts, without_classes
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, load_client_keys, load_server_keys

_WORK = "work:"


@dataclass(frozen=True)
class SimulatedNight:
    """What is sent where nothing recorded is given."""

    alerts: int = setting(1000, low=1, high=20_000, doc="How many alerts, each of another object.")
    hours: float = setting(8.0, unit="h", low=0.001, high=24.0, doc="How long the night is, at rate 1.")
    seed: int = setting(0, low=0, doc="The same seed gives the same alerts.")
    classes: tuple[str, ...] = setting(
        (),
        doc="Classes of objects, such as SN II, all equally frequent; empty: all that can be simulated here "
        "(SN Ia need the extra sky).",
    )

    def packets(self, stopping: Callable[[], bool]) -> list[Packet]:
        """Return the alerts; `stopping` is asked from time to time whether to give up.

        Raises:
            ConfigurationError: If a class has no such name, or it was told to give up.
            MissingExtra: If what a class that is named needs is not installed.
        """
        packets: list[Packet] = []
        for packet in itertools.islice(simulated_alerts(self.seed, self.classes), self.alerts):
            if stopping():
                raise ConfigurationError("told to stop before the night was simulated")
            packets.append(packet)
        return packets


@dataclass(frozen=True)
class ReplayKeys:
    """Keys of CURVE, where the other end is on another machine."""

    key: str = setting("", doc="Keys of the node, by name or secret file.")
    server_key: str = setting("", doc="Public key of who listens at tcp://, or its name or file.")
    workers: tuple[str, ...] = setting(
        (), doc="Public keys of who may take work:, names or files of them; empty: as lowlat keys allows."
    )


@dataclass(frozen=True, kw_only=True)
class AlertReplayConfig(NodeSettings):
    """Everything that the alert replay node can be told."""

    path: tuple[str, ...] = setting(
        (),
        doc="Recorded alerts: .avro files, archives of them (.tar.gz), folders, patterns; or ztf_night, the "
        "night that ships; empty: a simulated one.",
    )
    to: str = setting("tcp://127.0.0.1:5560", doc=f"Where they go: {FORMS}.")
    rate: float = setting(
        1.0, low=1e-3, high=1e6, doc="As far apart as they were observed, and so many times as fast."
    )
    per_second: float = setting(
        0.0, unit="Hz", low=0.0, high=1e5, doc="So many alerts a second, evenly, instead of rate; 0: by rate."
    )
    loop: int = setting(1, low=0, high=1_000_000, doc="How many times; 0: until the node is deactivated.")
    schemas: str = setting(
        "", doc="Folder of Avro schemas, where packets only name theirs and rate has to read their times."
    )
    simulated: SimulatedNight = section(SimulatedNight, doc="Without a path.")
    zmq: ReplayKeys = section(ReplayKeys, doc="Keys for ZeroMQ.")

    def __post_init__(self) -> None:
        """Refuse a target that is none, and keys that are not for it.

        Raises:
            ConfigurationError: If it is so.
        """
        check_target(self.to)
        work = self.to.startswith(_WORK)
        if bool(self.zmq.key) != bool(self.zmq.server_key) and not work:
            raise ConfigurationError(
                f"zmq: expected key and server_key together, or neither of them, to send to {self.to}"
            )
        if self.zmq.server_key and work:
            raise ConfigurationError(
                "zmq.server_key: expected none with work:, where this node is the server"
            )
        if self.zmq.workers and not (work and self.zmq.key):
            raise ConfigurationError("zmq.workers: expected work: in to, and zmq.key")

    def keys(self) -> tuple[ClientKeys | None, ServerKeys | None]:
        """Load the keys to connect, or to listen.

        Raises:
            ConfigurationError: If a file is no such key, or others may read the secret.
        """
        if not self.zmq.key:
            return None, None
        if self.zmq.server_key:
            return load_client_keys(self.zmq.key, self.zmq.server_key), None
        return None, load_server_keys(self.zmq.key, self.zmq.workers)

    def night(self, stopping: Callable[[], bool]) -> tuple[Timetable, str]:
        """Return what is sent when, and what is missing in it, if anything.

        Args:
            stopping: Asked from time to time whether to give up.

        Raises:
            ConfigurationError: If there are no alerts, or it was told to give up.
            MissingExtra: If what a class that is named needs is not installed.
        """
        if not self.path:
            night = self.simulated
            per_second = self.per_second or self.rate * night.alerts / (night.hours * 3600.0)
            missing = "" if night.classes else without_classes()
            return evenly(night.packets(stopping), per_second), missing
        packets, missing = read_packets([resources.recording(path) for path in self.path])
        if not packets:
            raise ConfigurationError(f"path: expected recorded alerts, got none that can be read; {missing}")
        if self.per_second:
            return evenly(packets, self.per_second), missing
        registry = SchemaRegistry(Path(self.schemas).expanduser()) if self.schemas else None
        return as_recorded(packets, Ingest(registry), self.rate), missing
