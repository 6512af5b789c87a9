# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One figure for a node, out of many meters; nothing is added that must not be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, NodeFigures
from lowlat_nodes.energy.headline import NO_METER, UNSEEN, UNUSED, cost_of, headline
from lowlat_nodes.stream.meter import Kind


def meter(
    name: str, device: str = "cpu", kind: Kind = Kind.MEASURED, part_of: str = "", fake: str = ""
) -> MeterFigures:
    return MeterFigures(
        name, device, (device,), part_of, fake, kind, 0.1, 0.001, 10.0, 100.0, 5.0, 50.0, 30.0, 20.0, 0.0, 0.0
    )


def node(watts: dict[str, float], costs: Sequence[Cost] = (), **more: Any) -> NodeFigures:
    joules = {name: 10.0 * value for name, value in watts.items()}
    values = {"unit": "detection", "results": 100, "rate_hz": 10.0, "joules": joules} | more
    return NodeFigures("/eye", cpu_s=1.0, gpu_s=math.nan, watts=watts, costs=tuple(costs), **values)


def figures(*meters: MeterFigures, nodes: Sequence[NodeFigures]) -> Figures:
    return Figures("host", 0, 0, 1.0, meters, (), tuple(nodes))


def regression(name: str, joules: float, error_j: float = 0.01, bucket: str = "") -> Cost:
    return Cost(name, bucket, joules, error_j, "regression")


def test_devices_of_one_kind_are_added_with_their_errors() -> None:
    eye = node({"rapl": 2.0, "nvml": 6.0}, [regression("rapl", 0.2, 0.03), regression("nvml", 0.6, 0.04)])
    found = headline(figures(meter("rapl"), meter("nvml", "gpu0"), nodes=[eye]), "/eye")
    assert (found.kind, found.meters) == (Kind.MEASURED, ("rapl", "nvml"))
    assert (found.watts, found.joules) == (8.0, 80.0)
    assert math.isclose(found.joules_per_result, 0.8)
    assert math.isclose(found.error_j, 0.05)
    assert (found.method, found.fake, found.why) == ("regression", "", "")


def test_what_is_modelled_is_never_added_to_what_is_measured() -> None:
    eye = node({"model": 2.0, "nvml": 6.0}, [Cost("model", "", 0.2, 0.0, "share"), regression("nvml", 0.6)])
    meters = [meter("model", kind=Kind.MODELLED), meter("nvml", "gpu0")]
    assert headline(figures(*meters, nodes=[eye]), "/eye").meters == ("nvml",)
    modelled = headline(figures(meters[0], nodes=[eye]), "/eye")
    assert (modelled.kind, modelled.joules_per_result, modelled.method) == (Kind.MODELLED, 0.2, "share")


def test_part_of_a_meter_is_not_added_to_it() -> None:
    eye = node({"package": 2.0, "core": 1.5}, [regression("package", 0.2), regression("core", 0.15)])
    meters = [meter("package"), meter("core", part_of="package")]
    assert headline(figures(*meters, nodes=[eye]), "/eye").joules_per_result == 0.2


def test_a_device_that_the_node_leaves_alone_costs_it_nothing() -> None:
    eye = node({"rapl": 2.0, "nvml": 0.0}, [regression("rapl", 0.2)])
    found = headline(figures(meter("rapl"), meter("nvml", "gpu0"), nodes=[eye]), "/eye")
    assert found.joules_per_result == 0.2


def test_a_device_stands_before_the_board_that_includes_it() -> None:
    eye = node({"rapl": 2.0, "board": 4.0}, [regression("rapl", 0.2), regression("board", 0.5)])
    meters = [meter("battery", "battery"), meter("board", "board"), meter("rapl", part_of="board")]
    assert headline(figures(*meters, nodes=[eye]), "/eye").meters == ("rapl",)


def test_a_board_of_which_nobody_knows_shares_counts_by_what_results_cost() -> None:
    eye = node({}, [regression("board", 0.5)])
    meters = [meter("battery", "battery"), meter("board", "board")]
    found = headline(figures(*meters, nodes=[eye]), "/eye")
    assert (found.meters, found.watts, found.joules_per_result) == (("board",), 5.0, 0.5)


def test_a_cost_that_one_meter_does_not_know_is_not_known() -> None:
    eye = node({"rapl": 2.0, "nvml": 6.0}, [regression("rapl", 0.2)])
    found = headline(figures(meter("rapl"), meter("nvml", "gpu0"), nodes=[eye]), "/eye")
    assert found.watts == 8.0
    assert math.isnan(found.joules_per_result)
    assert found.method == ""


def test_buckets_together_cost_what_was_used_over_what_was_made() -> None:
    eye = node(
        {"rapl": 5.0}, [regression("rapl", 0.2, bucket="320x320"), regression("rapl", 0.9, bucket="640x640")]
    )
    cost = cost_of(eye, "rapl")
    assert cost is not None
    assert (cost.joules, cost.method) == (0.5, "share")
    assert "2 buckets" in cost.why
    assert cost_of(node({"rapl": 5.0}, eye.costs, rate_hz=0.0), "rapl") is None


def test_why_there_is_no_figure() -> None:
    assert headline(None, "/eye", "nobody samples").why == "nobody samples"
    assert headline(figures(nodes=[]), "/eye").why == UNSEEN
    gone = headline(figures(meter("rapl", kind=Kind.UNAVAILABLE), nodes=[node({"rapl": 2.0})]), "/eye")
    assert (gone.kind, gone.why) == (Kind.UNAVAILABLE, NO_METER)
    assert headline(figures(meter("rapl"), nodes=[node({})]), "/eye").why == UNUSED


def test_a_fake_is_called_one() -> None:
    eye = node({"rapl": 2.0}, [regression("rapl", 0.2)])
    assert headline(figures(meter("rapl", fake="simulated"), nodes=[eye]), "/eye").fake == "simulated"
