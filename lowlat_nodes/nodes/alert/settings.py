# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the alert node that have nothing to do with ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lowlat_nodes.alerts.filters import FilterSettings
from lowlat_nodes.energy.settings import GuardOnly
from lowlat_nodes.nodes.metrics import MetricsSettings
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.config import group, section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.kafka.settings import Connection, Consumption


@dataclass(frozen=True)
class ZmqPackets:
    """Where packets come in over ZeroMQ."""

    endpoint: str = setting(
        "tcp://127.0.0.1:5560", doc="Where to listen for senders, or the publisher to subscribe to."
    )
    subscribe: bool = setting(
        False,
        doc="Whether to subscribe to a publisher, who drops what is not taken; otherwise senders wait.",
    )
    topic: str = setting("", doc="Beginning of the topics to subscribe to; empty for all.")
    key: str = setting(
        "", doc="Keys of the node, by name or secret file; needed where other machines reach the endpoint."
    )
    senders: tuple[str, ...] = setting(
        (), doc="Public keys of those who may send, names or files of them; empty: as lowlat keys allows."
    )
    server_key: str = setting(
        "", doc="Public key of the publisher to subscribe to, or its name or file; goes with key."
    )

    def __post_init__(self) -> None:
        if self.senders and not self.key:
            raise ConfigurationError("source.zmq: expected the node's key beside senders")
        if bool(self.server_key) != bool(self.key and self.subscribe):
            raise ConfigurationError(
                "source.zmq: expected key and server_key together to subscribe, and no server_key otherwise"
            )


@dataclass(frozen=True)
class Work:
    """A sender over ZeroMQ that sends again what is not confirmed: docs/work_protocol.md."""

    endpoint: str = setting("tcp://127.0.0.1:5558", doc="Address of the sender.")
    key: str = setting("", doc="Keys of the node, by name or secret file, where the sender wants some.")
    server_key: str = setting("", doc="Public key of the sender, or its name or file; goes with key.")
    silent_s: float = setting(
        10.0, unit="s", low=0.1, high=3600.0, doc="After so long in one batch others get the node's alerts."
    )

    def __post_init__(self) -> None:
        if bool(self.key) != bool(self.server_key):
            raise ConfigurationError("source.work: expected key and server_key together, or neither of them")


@dataclass(frozen=True)
class Simulation:
    """Alerts of a simulated sky."""

    rate_hz: float = setting(10.0, unit="Hz", doc="Alerts a second.", low=0.01, high=50.0)
    seed: int = setting(0, doc="The same seed gives the same alerts.", low=0)


@dataclass(frozen=True)
class SourceSettings:
    """Where alerts come from."""

    kind: str = setting(
        "zmq",
        choices=("zmq", "work", "kafka", "files", "ros", "simulated"),
        doc="zmq: senders such as lowlat replay; work: one that sends again what is not confirmed; kafka: a "
        "broker; files: recorded ones, once; ros: a topic; simulated: made up here, to try it.",
    )
    zmq: ZmqPackets = section(ZmqPackets, doc="With kind zmq.")
    work: Work = section(Work, doc="With kind work.")
    kafka: Consumption = section(Consumption, doc="With kind kafka.")
    files: tuple[str, ...] = setting((), doc="Files, folders and patterns, with kind files.")
    progress: str = setting(
        "", doc="File that keeps how far the files were read, so that a restart goes on; empty: none."
    )
    topic: str = setting("alerts", doc="Topic of std_msgs/UInt8MultiArray, with kind ros.")
    simulated: Simulation = section(Simulation, doc="With kind simulated.")

    @property
    def waits(self) -> bool:
        """Return whether alerts that nobody asks for wait where they come from, and none is lost."""
        return self.kind != "ros" and not (self.kind == "zmq" and self.zmq.subscribe)


@dataclass(frozen=True)
class SchemaSettings:
    """Where schemas are found that a packet only names."""

    folder: str = setting("", doc="Folder of schemas, such as 900.avsc; empty: none.")
    registry: str = setting("", doc="URL of a Confluent schema registry; empty: none.")


@dataclass(frozen=True)
class KafkaOutput:
    """What goes to Kafka; filters go to the topics that they name."""

    results: str = setting("", doc="Topic of all results; empty: they do not go to Kafka.")
    dead_letters: str = setting("", doc="Topic of packets that could not be read; empty: not to Kafka.")
    filters: bool = setting(False, doc="Whether what filters keep goes to Kafka topics.")


@dataclass(frozen=True)
class ParquetOutput:
    """Results as files."""

    folder: str = setting("", doc="Folder of Parquet files with all results; empty: none.")
    rows: int = setting(50_000, doc="Rows of a file.", low=1, high=10_000_000)
    seconds: float = setting(600.0, unit="s", doc="Longest wait for a file.", low=1.0, high=86_400.0)


@dataclass(frozen=True)
class DeadLetterFiles:
    """Packets that could not be read, as files."""

    folder: str = setting("", doc="Folder for packets that could not be read; empty: none.")
    most: int = setting(1000, doc="Packets kept; the oldest go.", low=1, high=1_000_000)


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """What an alert classifier takes, in a node or outside."""

    model: str = setting("tokens", doc="tokens, t2, or a file of lowlat train alerts or lowlat train t2.")
    threshold: float = setting(
        0.0,
        doc="Probability below which no class is named; 0: what the model was calibrated for.",
        low=0.0,
        high=1.0,
        live=True,
    )
    batch: int = setting(64, doc="Most alerts at once; fewer where fewer wait.", low=1, high=4096)
    commit_interval_s: float = setting(
        0.1,
        unit="s",
        doc="Longest time between two confirmations while alerts come; so much is done again after a crash.",
        low=0.0,
        high=60.0,
    )
    remember: int = setting(
        20_000,
        doc="How many published results are remembered, so that none goes out twice.",
        low=0,
        high=10_000_000,
    )
    source: SourceSettings = section(SourceSettings, doc="Where alerts come from.")
    schemas: SchemaSettings = section(SchemaSettings, doc="Schemas that packets only name.")
    kafka: Connection = section(Connection, doc="The cluster of kafka source and outputs.")
    filter: Mapping[str, FilterSettings] = group(FilterSettings, doc="Which results also go where.")
    to_kafka: KafkaOutput = section(KafkaOutput, doc="Outputs to Kafka.")
    zmq: ZmqSettings = section(ZmqSettings, doc="Results over ZeroMQ.")
    parquet: ParquetOutput = section(ParquetOutput, doc="Results as Parquet files.")
    dead_letters: DeadLetterFiles = section(DeadLetterFiles, doc="What could not be read, as files.")
    energy: GuardOnly = section(GuardOnly, doc="What an alert may cost.")
    metrics: MetricsSettings = section(MetricsSettings, doc="Figures for Prometheus.")
