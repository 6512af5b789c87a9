# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node uses: which meters count for it, and that no two kinds are added."""

from __future__ import annotations

import math

import pytest

from lowlat_nodes.energy.consumption import Consumption
from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, Missing, NodeFigures
from lowlat_nodes.stream.meter import Kind

NODE = "/detector_node"


def meter(
    name: str, device: str, kind: Kind = Kind.MEASURED, part_of: str = "", why: str = ""
) -> MeterFigures:
    """A meter of one device."""
    return MeterFigures(
        name=name,
        device=device,
        covers=(device,),
        part_of=part_of,
        fake="",
        kind=kind,
        period_s=0.1,
        resolution_j=0.001,
        watts=10.0,
        joules=100.0,
        idle_w=1.0,
        idle_j=10.0,
        nodes_j=80.0,
        unattributed_j=10.0,
        imbalance_j=0.0,
        unmetered_s=0.0,
        why=why,
    )


def figures(
    meters: list[MeterFigures],
    watts: dict[str, float],
    costs: tuple[Cost, ...] = (),
    missing: tuple[Missing, ...] = (),
) -> Figures:
    """Those of a host with one node."""
    node = NodeFigures(
        node=NODE,
        unit="detection",
        results=100,
        rate_hz=10.0,
        cpu_s=5.0,
        gpu_s=math.nan,
        watts=watts,
        joules={},
        costs=costs,
    )
    return Figures("host", 1, 1, 1.0, tuple(meters), missing, (node,))


def test_measured_meters_of_devices_are_added_and_parts_are_not() -> None:
    cpu, gpu = meter("rapl/package-0", "cpu"), meter("nvml/0", "gpu0")
    core, battery = meter("rapl/core", "cpu", part_of="rapl/package-0"), meter("battery", "battery")
    use = Consumption.of(
        figures(
            [cpu, core, battery, gpu],
            {"rapl/package-0": 3.0, "rapl/core": 2.0, "nvml/0": 7.0, "battery": 11.0},
        ),
        NODE,
    )
    assert (use.watts, use.rate_hz, use.modelled) == (10.0, 10.0, False)
    assert use.meters == ("rapl/package-0", "nvml/0")
    assert use.known


def test_a_model_is_never_added_to_a_meter() -> None:
    host = figures(
        [meter("cpu_model", "cpu", Kind.MODELLED), meter("nvml/0", "gpu0")], {"cpu_model": 3.0, "nvml/0": 7.0}
    )
    assert Consumption.of(host, NODE).watts == 7.0


def test_a_model_counts_where_nothing_is_measured() -> None:
    use = Consumption.of(figures([meter("cpu_model", "cpu", Kind.MODELLED)], {"cpu_model": 3.0}), NODE)
    assert (use.watts, use.modelled) == (3.0, True)


def test_the_board_counts_where_no_device_has_a_meter_and_the_battery_where_there_is_no_board() -> None:
    board, battery = meter("ina3221/VDD_IN", "board"), meter("battery", "battery")
    watts = {"ina3221/VDD_IN": 5.0, "battery": 9.0}
    assert Consumption.of(figures([battery, board], watts), NODE).meters == ("ina3221/VDD_IN",)
    assert Consumption.of(figures([battery], watts), NODE).watts == 9.0


def test_rails_of_a_board_count_for_it() -> None:
    total = meter("ina3221/VDD_IN", "board")
    rail = meter("ina3221/VDD_CPU_GPU_CV", "cpu", part_of="ina3221/VDD_IN")
    use = Consumption.of(figures([total, rail], {total.name: 9.0, rail.name: 4.0}), NODE)
    assert use.watts == 4.0


def test_the_cost_of_a_result_is_the_sum_of_its_regressions() -> None:
    meters = [meter("rapl/package-0", "cpu"), meter("nvml/0", "gpu0")]
    costs = (
        Cost("rapl/package-0", "", 0.3, 0.03, "regression"),
        Cost("nvml/0", "", 0.7, 0.04, "regression"),
    )
    watts = {"rapl/package-0": 3.0, "nvml/0": 7.0}
    use = Consumption.of(figures(meters, watts, costs), NODE)
    assert (use.joules, use.error_j) == (pytest.approx(1.0), pytest.approx(0.05))
    for incomplete in (
        costs[:1],
        (costs[0], Cost("nvml/0", "", 0.7, 0.0, "share")),
        (*costs, Cost("nvml/0", "640x640", 0.9, 0.04, "regression")),
    ):
        assert math.isnan(Consumption.of(figures(meters, watts, incomplete), NODE).joules)


def test_what_is_not_known_says_why() -> None:
    assert "no energy sampler" in Consumption.of(None, NODE).why
    host = figures([], {}, missing=(Missing("rapl", "may not be read; chgrp energy"),))
    assert "has not seen /other" in Consumption.of(host, "/other").why
    use = Consumption.of(host, NODE)
    assert not use.known
    assert use.why == "no meter counts here; rapl: may not be read; chgrp energy"
    gone = figures([meter("nvml/0", "gpu0", Kind.UNAVAILABLE, why="the driver is gone")], {"nvml/0": 5.0})
    assert "nvml/0: the driver is gone" in Consumption.of(gone, NODE).why


@pytest.mark.parametrize(
    ("watts", "rate_hz"), [(math.nan, 1.0), (1.0, math.nan), (-1.0, 1.0), (math.inf, 1.0)]
)
def test_figures_that_make_no_sense_are_not_known(watts: float, rate_hz: float) -> None:
    assert not Consumption(watts=watts, rate_hz=rate_hz).known
