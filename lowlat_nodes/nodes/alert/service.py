# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Source, classifier and sinks of alerts, put together as the parameters say; with ROS or without."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from lowlat_nodes.alerts.alert_classifier import ALERTS, RESULTS, AlertClassifier
from lowlat_nodes.alerts.avro.reader import COMPILED
from lowlat_nodes.alerts.container import split
from lowlat_nodes.alerts.filters import Filters
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.loading import load_classifier
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.result import FIELDS
from lowlat_nodes.alerts.shared_classifier import SharedClassifier
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.nodes.alert.counted_alerts import CountedProcessor, CountedSink
from lowlat_nodes.nodes.alert.dead_letter_tally import DeadLetterTally
from lowlat_nodes.nodes.alert.settings import AlertSettings
from lowlat_nodes.nodes.counting import Counts
from lowlat_nodes.nodes.metrics import Distribution, Metric, pipeline_metrics
from lowlat_nodes.sim.alert_source import SimulatedAlerts, without_classes
from lowlat_nodes.stream.bound import UNBOUNDED, Bound
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.delivery import DEAD_LETTERS, Delivery, DeliveryStats
from lowlat_nodes.stream.endpoint import PullSource, Sink
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Beat
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.transport.dead_letter_files import DeadLetterFiles
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.kafka.source import KafkaSource
from lowlat_nodes.transport.packet_files import PacketFiles
from lowlat_nodes.transport.parquet.sink import ParquetSink
from lowlat_nodes.transport.schema_registry import HttpSchemaRegistry
from lowlat_nodes.transport.zmq.curve import load_client_keys, load_server_keys
from lowlat_nodes.transport.zmq.packets import PacketReceiver
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.work_source import WorkSource

INTERPRETED = (
    "alerts are read in Python, many times slower, as the extension in C was not built: install "
    "lowlat_nodes where there is a C compiler"
)
"""What is told at the start where it is so."""

WAITING_RESULTS = 20_000
"""Results that wait for each ZeroMQ subscriber: some seconds of a burst."""

FAILING = 10
"""Dead letters in a row that are no matter of the packets any more."""

_KAFKA_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_BATCHES = tuple(1 << power for power in range(13))

Sinks = Mapping[str, list[Sink]]


def load_alert_classifier(
    settings: AlertSettings, bound: Bound = UNBOUNDED, sharing: Sharing = ALONE
) -> AlertClassifier:
    """Return the processor: packets in, results, dead letters and what filters keep out.

    Args:
        settings: The parameters.
        bound: How many epochs an alert may have, see `Ingest`.
        sharing: With whom the device is shared that classifies; the classifier is warm then.

    Raises:
        ConfigurationError: If model, filters or schemas are not as they should be.
    """
    classifier = load_classifier(settings.model, sharing=sharing)
    if sharing.is_shared:
        shared = SharedClassifier(classifier, sharing)
        shared.warm_up(sharing, settings.batch)
        classifier = shared
    ingest = Ingest(alert_registry(settings), bound=bound)
    processor = AlertClassifier(ingest, classifier, Filters(settings.filter))
    processor.abstain_below(settings.threshold)
    return processor


def alert_registry(settings: AlertSettings) -> SchemaRegistry:
    """Return where schemas are found that packets only name.

    Raises:
        ConfigurationError: If the folder is none, or the URL.
    """
    schemas = settings.schemas
    return SchemaRegistry(
        Path(schemas.folder).expanduser() if schemas.folder else None,
        HttpSchemaRegistry(schemas.registry) if schemas.registry else None,
    )


class AlertService:
    """Asks for alerts, classifies them, publishes, and only then commits; made anew for each start.

    Args:
        settings: The parameters.
        processor: Of the same parameters; its owner closes it.
        clock: The clock of the stamps.
        tell: Called with what somebody should know, one line each, from the thread that works.
        name: What its heartbeats, which go where results are published over ZeroMQ, call it.
        ros: Sinks that the node adds, by output.
        packets: Makes the source of `source.kind: ros`.
        counts: Counts alerts for figures of energy; nobody does unless given.

    Attributes:
        delivery: Does the work.
        dead_letters: What could not be dealt with.
        endpoint: Where packets are listened for over ZeroMQ, empty otherwise.
        results: Where results are published over ZeroMQ, empty otherwise.

    Raises:
        ConfigurationError: If an endpoint, a folder or the settings of Kafka are not to be had.
        MissingExtra: If a library is not installed.
    """

    def __init__(
        self,
        settings: AlertSettings,
        processor: AlertClassifier,
        clock: Clock,
        *,
        tell: Callable[[str], None],
        name: str = ALERTS,
        ros: Sinks | None = None,
        packets: Callable[[], PullSource] | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._processor = processor
        kept = bool(settings.to_kafka.dead_letters or settings.dead_letters.folder)
        self.dead_letters = DeadLetterTally(tell, kept=kept)
        if not COMPILED:
            tell(INTERPRETED)
        if settings.source.kind == "simulated" and (without := without_classes()):
            tell(f"the simulated sky has {without}")
        with ExitStack() as undo:
            source = alert_source(settings, clock, packets)
            undo.callback(source.close)
            self.endpoint: str = source.endpoint if isinstance(source, PacketReceiver) else ""
            sinks: dict[str, list[Sink]] = {output: [] for output in processor.outputs}
            sinks[DEAD_LETTERS].append(self.dead_letters)
            for output, more in (ros or {}).items():
                sinks[output] += more
            self.results = ""
            beat: Beat | None = None
            for outputs, sink in _sinks(settings, processor):
                undo.callback(sink.close)
                for output in outputs:
                    sinks[output].append(sink)
                if isinstance(sink, Publisher):
                    self.results, beat = sink.endpoint, sink.beat
            if counts is not None:
                sinks[RESULTS].append(CountedSink(counts))
            self.delivery = Delivery(
                source,
                processor if counts is None else CountedProcessor(processor, counts),
                sinks,
                clock,
                batch=settings.batch,
                commit_interval_s=settings.commit_interval_s,
                remember=settings.remember,
                pulse=Pulse(name, beat),
                name=ALERTS,
            )
            metrics = settings.metrics.endpoint(self.metrics)
            undo.pop_all()
        self._metrics = metrics

    def start(self) -> None:
        """Begin to ask for alerts."""
        self.delivery.start()

    def stop(self) -> None:
        """Finish and commit the batch in hand, then let go of everything."""
        with ExitStack() as cleanup:
            cleanup.callback(self.delivery.stop)
            if self._metrics is not None:
                cleanup.callback(self._metrics.close)

    def trouble(self) -> str:
        """Return why nothing goes on, or nothing comes out of it; empty while all is well."""
        stats = self.delivery.stats()
        if stats.failing >= FAILING:
            return f"none of the last {stats.failing} alerts could be read: {self.dead_letters.newest}"
        return f"waiting: {stats.blocked}" if stats.blocked else ""

    def metrics(self) -> Iterator[Metric | Distribution]:
        """Yield the figures for Prometheus."""
        stats, processor = self.delivery.stats(), self._processor
        yield from pipeline_metrics(stats)
        yield from delivery_metrics(stats)
        yield Metric(
            "lowlat_alerts_class_total", "Results by class.", processor.classes.snapshot(), "class_name"
        )
        yield Metric(
            "lowlat_alerts_refused_total",
            "Dead letters by the kind of their reason.",
            self.dead_letters.counts.snapshot(),
            "reason",
        )
        yield Distribution(
            "lowlat_alerts_batch", "Packets in a batch.", processor.batches(), _BATCHES, scale=1.0
        )
        yield Metric(
            "lowlat_alerts_kept_total",
            "Results that a filter kept.",
            processor.filters.kept.snapshot(),
            "filter",
        )
        yield Metric(
            "lowlat_alerts_filter_failures_total",
            "Results that a filter failed on.",
            processor.filters.failures.snapshot(),
            "filter",
        )


def delivery_metrics(stats: DeliveryStats) -> Iterator[Metric | Distribution]:
    """Yield what a delivery counts beside what a pipeline does."""
    yield Metric("lowlat_dead_letters_total", "Packets that could not be dealt with.", stats.dead_letters)
    yield Metric("lowlat_repeated_total", "Results held back as published before.", stats.repeated)
    yield Metric("lowlat_commits_total", "How often the source was told that all is done.", stats.commits)
    yield Metric("lowlat_uncommitted", "Messages that are not done yet.", stats.uncommitted)
    yield Metric("lowlat_lost_total", "Messages that never came.", stats.lost or {}, "reason")
    if stats.lag is not None:
        yield Metric("lowlat_lag", "Messages that wait at the source.", stats.lag)


def alert_source(
    settings: AlertSettings, clock: Clock, packets: Callable[[], PullSource] | None = None
) -> PullSource:
    """Return where alerts come from, as the parameters say.

    Args:
        settings: The parameters.
        clock: Stamps the receipt.
        packets: Makes the source of `source.kind: ros`; None without ROS.

    Raises:
        ConfigurationError: If it is not to be had.
        MissingExtra: If a library is not installed.
    """
    source = settings.source
    if source.kind == "kafka":
        return KafkaSource(settings.kafka, source.kafka, clock, topic=ALERTS)
    if source.kind == "work":
        given = source.work
        client = load_client_keys(given.key, given.server_key) if given.key else None
        return WorkSource(
            given.endpoint,
            clock,
            topic=ALERTS,
            keys=client,
            silent_after_s=given.silent_s,
        )
    if source.kind == "files":
        if not source.files:
            raise ConfigurationError("source.files: expected at least one file, folder or pattern, got none")
        progress = Path(source.progress).expanduser() if source.progress else None
        return PacketFiles(source.files, clock, topic=ALERTS, split=split, progress=progress)
    if source.kind == "simulated":
        return SimulatedAlerts(source.simulated.rate_hz, clock, topic=ALERTS, seed=source.simulated.seed)
    if source.kind == "ros":
        if packets is None:
            raise ConfigurationError(
                "source.kind: ros needs the node; without ROS: zmq, work, kafka or files"
            )
        return packets()
    zmq = source.zmq
    if zmq.subscribe:
        client = load_client_keys(zmq.key, zmq.server_key) if zmq.key else None
        return PacketReceiver(zmq.endpoint, clock, topic=ALERTS, subscribe=zmq.topic.encode(), client=client)
    server = load_server_keys(zmq.key, zmq.senders) if zmq.key else None
    return PacketReceiver(zmq.endpoint, clock, topic=ALERTS, server=server)


def _sinks(settings: AlertSettings, processor: AlertClassifier) -> Iterator[tuple[list[str], Sink]]:
    """Yield each sink and the outputs that it takes."""
    topics = {name: config.topic or name for name, config in settings.filter.items()}
    to_kafka = settings.to_kafka
    kafka = {
        **({RESULTS: to_kafka.results} if to_kafka.results else {}),
        **({DEAD_LETTERS: to_kafka.dead_letters} if to_kafka.dead_letters else {}),
        **(topics if to_kafka.filters else {}),
    }
    for output, topic in kafka.items():
        if not _KAFKA_TOPIC.match(topic):
            raise ConfigurationError(
                f"the output {output!r}: expected the name of a Kafka topic (letters, digits and . _ -), "
                f"got {topic!r}"
            )
    if kafka:
        yield list(kafka), KafkaSink(settings.kafka, kafka)
    publisher = settings.zmq.publisher({RESULTS: RESULTS, **topics}, waiting=WAITING_RESULTS)
    if publisher is not None:
        yield [RESULTS, *processor.filters.names], publisher
    parquet = settings.parquet
    if parquet.folder:
        folder = Path(parquet.folder).expanduser()
        yield [RESULTS], ParquetSink(folder, FIELDS, rows=parquet.rows, seconds=parquet.seconds)
    letters = settings.dead_letters
    if letters.folder:
        yield [DEAD_LETTERS], DeadLetterFiles(Path(letters.folder).expanduser(), most=letters.most)
