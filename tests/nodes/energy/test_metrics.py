# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import urllib.request

import pytest

from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, NodeFigures
from lowlat_nodes.nodes.energy.metrics import energy_metrics
from lowlat_nodes.nodes.metrics import Metric, MetricsEndpoint
from lowlat_nodes.stream.meter import Kind

RAPL, GPU, MODEL = "rapl/package-0", "nvml/0", "model/cpu"


def meter(name: str, kind: Kind, watts: float = 10.0, part_of: str = "") -> MeterFigures:
    return MeterFigures(
        name, "cpu", ("cpu",), part_of, "a test", kind, 0.1, 0.001,
        watts, 100.0, 4.0, 40.0, 50.0, 10.0, 0.25, 3.0,
    )  # fmt: skip


FIGURES = Figures(
    "robot", 1, 2, 1.0,
    (
        meter(RAPL, Kind.MEASURED, part_of="rapl/psys"),
        meter(GPU, Kind.UNAVAILABLE, math.nan),
        meter(MODEL, Kind.MODELLED, math.nan),
    ),
    (),
    (
        NodeFigures(
            "/arm", "action", 7, 2.0, 3.0, 0.5,
            {RAPL: 5.0, GPU: 1.0, MODEL: 2.0}, {RAPL: 50.0, GPU: 9.0, MODEL: 20.0},
            (Cost(RAPL, "640", 2.5, 0.1, "regression"), Cost(GPU, "640", 9.5, 0.1, "regression")),
        ),
    ),
)  # fmt: skip


def metrics(figures: Figures | None = FIGURES) -> dict[str, Metric]:
    return {metric.name: metric for metric in energy_metrics(figures)}


def test_the_parts_of_the_energy_of_a_meter_are_one_counter() -> None:
    found = metrics()["lowlat_energy_measured_joules_total"]
    assert found.label == ("meter", "device", "part_of", "fake", "to")
    assert found.values == {
        (RAPL, "cpu", "rapl/psys", "a test", "idle"): 40.0,
        (RAPL, "cpu", "rapl/psys", "a test", "nodes"): 50.0,
        (RAPL, "cpu", "rapl/psys", "a test", "unattributed"): 10.0,
    }


def test_what_is_modelled_has_names_of_its_own() -> None:
    found = metrics()
    assert found["lowlat_energy_measured_node_joules_total"].values == {("/arm", RAPL, "a test"): 50.0}
    assert found["lowlat_energy_modelled_node_joules_total"].values == {("/arm", MODEL, "a test"): 20.0}
    assert found["lowlat_energy_measured_node_watts"].values == {("/arm", RAPL, "a test"): 5.0}
    cost = ("/arm", RAPL, "a test", "640", "regression")
    assert found["lowlat_energy_measured_result_joules"].values == {cost: 2.5}
    assert found["lowlat_energy_modelled_result_joules"].values == {}
    assert found["lowlat_energy_results_total"].values == {("/arm", "action"): 7}


def test_what_is_not_known_has_no_value() -> None:
    found = metrics()
    assert found["lowlat_energy_modelled_watts"].values == {}
    available = found["lowlat_energy_meter_available"].values
    assert isinstance(available, dict)
    assert list(available.values()) == [1.0, 0.0, 1.0]


def test_a_host_that_nobody_samples() -> None:
    assert {name: metric.values for name, metric in metrics(None).items()} == {"lowlat_energy_sampled": 0.0}


@pytest.mark.alerts
def test_prometheus_reads_them() -> None:
    pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families

    endpoint = MetricsEndpoint(lambda: energy_metrics(FIGURES))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
    finally:
        endpoint.close()
    samples = {
        (sample.name, sample.labels.get("meter"), sample.labels.get("to")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["lowlat_energy_sampled", None, None] == 1.0
    assert samples["lowlat_energy_measured_joules_total", RAPL, "nodes"] == 50.0
    assert samples["lowlat_energy_unmetered_seconds_total", GPU, None] == 3.0
