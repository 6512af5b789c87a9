# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures for Prometheus, read over HTTP with its own parser."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterable

import pytest

from lowlat_nodes.nodes.metrics import (
    MAX_VALUES,
    Distribution,
    Metric,
    MetricsEndpoint,
    MetricsSettings,
    Snapshot,
    pipeline_metrics,
)
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.pipeline import PipelineStats

pytestmark = pytest.mark.alerts
pytest.importorskip("prometheus_client")


def read(endpoint: MetricsEndpoint) -> dict[tuple[str, str], float]:
    """Return each figure by its name and the values of its labels."""
    from prometheus_client.parser import text_string_to_metric_families

    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def answered(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    endpoint = MetricsEndpoint(snapshot)
    try:
        return read(endpoint)
    finally:
        endpoint.close()


def test_counters_and_gauges() -> None:
    found = answered(
        lambda: [
            Metric("lowlat_results_total", "Results.", 7),
            Metric("lowlat_lag", "Waiting.", 3.5),
            Metric("lowlat_classes_total", "Results by class.", {"SN Ia": 2, 'a "b"\n': 1}, "best"),
            Metric("lowlat_w", "Power.", {("/a", "cpu"): 2.5, ("/b", "gpu"): 1.0}, ("node", "meter")),
        ]
    )
    assert (found["lowlat_w", "cpu,/a"], found["lowlat_w", "gpu,/b"]) == (2.5, 1.0)
    assert found["lowlat_results_total", ""] == 7
    assert found["lowlat_lag", ""] == 3.5
    assert found["lowlat_classes_total", "SN Ia"] == 2
    assert found["lowlat_classes_total", 'a "b"\n'] == 1
    assert found["process_resident_memory_bytes", ""] > 0


def test_distributions_are_histograms_and_quantiles() -> None:
    histogram = Histogram()
    for latency_ms in range(1, 1001):
        histogram.record(latency_ms * 1_000_000)
    found = answered(lambda: [Distribution("lowlat_latency_seconds", "Latency.", histogram)])
    assert found["lowlat_latency_seconds_count", ""] == 1000
    assert found["lowlat_latency_seconds_sum", ""] == pytest.approx(500.5)
    assert found["lowlat_latency_seconds_bucket", "0.0005"] == 0
    assert found["lowlat_latency_seconds_bucket", "0.1"] == 100
    assert found["lowlat_latency_seconds_bucket", "0.5"] == pytest.approx(500, abs=4)
    assert found["lowlat_latency_seconds_bucket", "+Inf"] == 1000
    for share, expected in (("0.5", 0.5), ("0.99", 0.99), ("0.999", 0.999)):
        assert found["lowlat_latency_seconds_quantile", share] == pytest.approx(expected, rel=0.004)


def test_a_distribution_of_something_else_than_time() -> None:
    histogram = Histogram()
    for size in (1, 3, 200):
        histogram.record(size)
    found = answered(lambda: [Distribution("lowlat_batch", "Alerts.", histogram, (1, 10, 100, 1000), 1.0)])
    assert [found["lowlat_batch_bucket", limit] for limit in ("1", "10", "100", "1000")] == [1, 2, 2, 3]
    assert found["lowlat_batch_quantile", "0.5"] == 3


def test_nothing_has_no_quantiles() -> None:
    found = answered(lambda: pipeline_metrics(PipelineStats()))
    assert found["lowlat_latency_seconds_count", ""] == 0
    assert not [name for name, _ in found if name.endswith("_quantile")]


def test_values_of_a_label_are_bounded() -> None:
    counts = {f"reason {number}": number for number in range(1000)}
    found = answered(lambda: [Metric("lowlat_refused_total", "Refused.", counts, "reason")])
    refused = {label: value for (name, label), value in found.items() if name == "lowlat_refused_total"}
    assert len(refused) == MAX_VALUES
    assert sum(refused.values()) == sum(counts.values())
    assert refused["other"] > 0


def test_a_snapshot_that_raises_fails_one_answer_and_not_the_next() -> None:
    figures: list[int] = []

    def snapshot() -> Iterable[Metric]:
        figures.append(1)
        if len(figures) == 1:
            raise RuntimeError("no figures")
        return [Metric("lowlat_lag", "Waiting.", 1)]

    endpoint = MetricsEndpoint(snapshot)
    try:
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            read(endpoint)
        assert read(endpoint)["lowlat_lag", ""] == 1
    finally:
        endpoint.close()


def test_two_processes_worth_of_figures_share_nothing() -> None:
    one, two = (MetricsEndpoint(lambda: [Metric("lowlat_lag", "Waiting.", 1)]) for _ in range(2))
    try:
        assert read(one)["lowlat_lag", ""] == read(two)["lowlat_lag", ""] == 1
    finally:
        one.close()
        two.close()


def test_without_a_port_there_is_no_endpoint_and_a_taken_one_is_refused() -> None:
    assert MetricsSettings().endpoint(list) is None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"metrics: cannot listen at 127.0.0.1:{port}"):
            MetricsSettings(port=port).endpoint(list)
    endpoint = MetricsSettings(port=port).endpoint(list)
    assert endpoint is not None
    endpoint.close()
