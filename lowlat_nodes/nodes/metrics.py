# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a process for Prometheus, over HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.pipeline import PipelineStats

MAX_VALUES = 64
"""Values of a label; what is beyond them is counted together, as `other`."""

OTHER = "other"

LATENCIES_NS = tuple(digit * 10**power for power in range(5, 11) for digit in (1, 2, 5))
"""0.1 ms to 50 s."""

_QUANTILES = (0.5, 0.99, 0.999)


@dataclass(frozen=True)
class MetricsSettings:
    """Where Prometheus finds the figures of a process."""

    port: int = setting(
        0, low=0, high=65535, doc="Port of http://HOST:PORT/metrics for Prometheus; 0: no figures."
    )
    host: str = setting(
        "127.0.0.1",
        doc="Address to listen at: that of this machine alone, unless other machines may read the figures.",
    )

    def endpoint(self, snapshot: Snapshot) -> MetricsEndpoint | None:
        """Open the port; None where none is given.

        Raises:
            ConfigurationError: If it cannot be had.
            MissingExtra: If prometheus_client is not installed.
        """
        return MetricsEndpoint(snapshot, self.host, self.port) if self.port else None


@dataclass(frozen=True)
class Metric:
    """A counter or a gauge.

    Attributes:
        name: Lower case with the unit at the end; a counter's ends in `_total`.
        doc: One sentence.
        values: One number, or one for each value of the label, or for each set of values of several labels.
        label: The name of the label, or of several; empty without one.
        most: So many values at most; what is beyond them is added up as `other`.
    """

    name: str
    doc: str
    values: float | Mapping[str, float] | Mapping[tuple[str, ...], float]
    label: str | tuple[str, ...] = ""
    most: int = MAX_VALUES


@dataclass(frozen=True)
class Distribution:
    """What a histogram has counted.

    Attributes:
        name: Lower case with the unit at the end.
        doc: One sentence.
        histogram: A copy that nobody writes.
        limits: Upper ends of the buckets that are shown.
        scale: What one of the histogram is in the unit of the name; ns in s unless given.
    """

    name: str
    doc: str
    histogram: Histogram
    limits: Sequence[int] = LATENCIES_NS
    scale: float = 1e-9


Snapshot = Callable[[], Iterable[Metric | Distribution]]
"""Returns the present figures; called from a thread of the endpoint whenever somebody asks."""


class MetricsEndpoint:
    """Answers GET /metrics with the figures of a snapshot, and with memory and CPU time of the process.

    A distribution is given twice: as histogram, which Prometheus can add up over processes and cut to any
    time, and as gauge `NAME_quantile` with p50, p99 and p99.9 since the start, to 0.4 %.

    Args:
        snapshot: Called for each answer; what it raises fails that answer alone.
        host: Address to listen at.
        port: Where; 0 takes a free one.

    Attributes:
        port: Where it listens.

    Raises:
        ConfigurationError: If it cannot listen there.
        MissingExtra: If prometheus_client is not installed.
    """

    def __init__(self, snapshot: Snapshot, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            import prometheus_client
        except ModuleNotFoundError as error:
            raise MissingExtra("prometheus_client", "alerts") from error
        registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        registry.register(_Collector(snapshot))
        try:
            self._server, self._thread = prometheus_client.start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigurationError(f"metrics: cannot listen at {host}:{port}: {error}") from error
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def pipeline_metrics(stats: PipelineStats) -> Iterator[Metric | Distribution]:
    """Yield the figures of a pipeline."""
    yield Metric("lowlat_inputs_total", "Messages processed without an error.", stats.processed)
    yield Metric("lowlat_results_total", "Results published.", stats.published)
    yield Metric("lowlat_failures_total", "Messages that made something raise.", stats.failures, "kind")
    yield Distribution("lowlat_age_seconds", "From capture to publication.", stats.age)
    yield Distribution("lowlat_latency_seconds", "From receipt to publication.", stats.latency)
    yield Distribution("lowlat_service_seconds", "In the processor, per batch.", stats.service)


class _Collector:
    """What prometheus_client asks for figures."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Any]:
        """Return nothing, or the registry would take a snapshot to see which names there are."""
        return []

    def collect(self) -> Iterator[Any]:
        for metric in self._snapshot():
            yield from _distribution(metric) if isinstance(metric, Distribution) else _numbers(metric)


def _numbers(metric: Metric) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if metric.name.endswith("_total") else GaugeMetricFamily
    if not isinstance(metric.values, Mapping):
        yield kind(metric.name, metric.doc, value=metric.values)
        return
    labels = [metric.label] if isinstance(metric.label, str) else list(metric.label)
    family = kind(metric.name, metric.doc, labels=labels)
    values = iter(metric.values.items())
    for value, number in itertools.islice(values, metric.most - 1):
        family.add_metric([value] if isinstance(value, str) else list(value), number)
    rest = [number for _, number in values]
    if rest:
        family.add_metric([OTHER] * len(labels), sum(rest))
    yield family


def _distribution(metric: Distribution) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

    histogram, scale = metric.histogram, metric.scale
    counts = histogram.at_most(metric.limits)
    limits = [f"{limit * scale:.6g}" for limit in metric.limits]
    yield HistogramMetricFamily(
        metric.name,
        metric.doc,
        buckets=[*zip(limits, counts, strict=True), ("+Inf", histogram.count)],
        sum_value=histogram.total * scale,
    )
    family = GaugeMetricFamily(
        f"{metric.name}_quantile", f"{metric.doc} Since the start.", labels=["quantile"]
    )
    if histogram.count:
        for share, found in zip(_QUANTILES, histogram.quantiles(_QUANTILES), strict=True):
            family.add_metric([str(share)], found * scale)
    yield family
