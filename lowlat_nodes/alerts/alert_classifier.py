# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The processor behind the alert node: packets in, classifications out, and what could not be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lowlat_nodes.alerts.classifier import Classifier
from lowlat_nodes.alerts.filters import Filters
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.result import results
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Record
from lowlat_nodes.stream.processor import Processor

ALERTS = "alerts"
"""The input: messages with a `Packet`."""

RESULTS = "results"
"""The output for every classification: messages with a `Record`, see docs/alert_results.md."""

Show = Callable[[Sequence[Record], LightCurves], None]
"""Takes the results of some alerts and their light curves."""


class AlertClassifier(Processor):
    """Classifies alerts in batches, and sorts the results by filters.

    `RESULTS` has all results, and the output of each filter, named like it, those that it keeps. What cannot
    be read goes to `DEAD_LETTERS` with the reason.

    Args:
        ingest: Reads packets.
        classifier: Makes probabilities of light curves.
        filters: Sort the results.

    Attributes:
        filters: May be replaced by others of the same names while it works.
        classes: How many results named which class, or abstained.
        show: Called with the results of each batch and their light curves, before they are published; None
            calls nobody.

    Raises:
        ConfigurationError: If a filter has the name of another output.
    """

    inputs = (ALERTS,)

    def __init__(self, ingest: Ingest, classifier: Classifier, filters: Filters) -> None:
        taken = {RESULTS, DEAD_LETTERS}.intersection(filters.names)
        if taken:
            raise ConfigurationError(f"filter {min(taken)!r}: that name has another output; take another")
        self.outputs = (RESULTS, DEAD_LETTERS, *filters.names)
        self.ingest = ingest
        self.classifier = classifier
        self.filters = filters
        self.classes = Counters()
        self.show: Show | None = None
        self._calibrated = classifier.threshold
        self._batches = Histogram()
        self._lock = threading.Lock()

    def batches(self) -> Histogram:
        """Return how many packets there were in each batch; from any thread."""
        with self._lock:
            return self._batches.copy()

    def abstain_below(self, threshold: float) -> None:
        """Name no class whose probability is less; 0 takes what the model was calibrated for."""
        self.classifier.threshold = threshold or self._calibrated

    def process(self, message: Message) -> list[Message]:
        """Classify one alert."""
        return self.process_batch([message])

    def process_batch(self, messages: Sequence[Message]) -> list[Message]:
        """Classify a batch: results in the order of the alerts, then by filter, then dead letters."""
        with self._lock:
            self._batches.record(len(messages))
        read = self.ingest.read([message.payload for message in messages])
        out: list[Message] = []
        if len(read.light_curves):
            taken = [messages[index] for index in read.packets.tolist()]
            probabilities = self.classifier.classify(read.light_curves)
            received_ns = [message.trace.received_ns for message in taken]
            records = results(read, probabilities, self.classifier, received_ns)
            of = {id(record): message for record, message in zip(records, taken, strict=True)}
            for record in records:
                self.classes.add(record.fields["best"])
            if self.show is not None:
                self.show(records, read.light_curves)
            out += [of[id(record)].derive(RESULTS, record) for record in records]
            for name, kept in self.filters.keep(records).items():
                out += [of[id(record)].derive(name, record) for record in kept]
        for index, reason in read.refused.items():
            message = messages[index]
            out.append(message.derive(DEAD_LETTERS, DeadLetter(message.payload, reason)))
        return out
