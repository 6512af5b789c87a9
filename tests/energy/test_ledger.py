# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meters_for_tests import Told

from lowlat_nodes.energy.figures import MAX_NODES, NodeFigures
from lowlat_nodes.energy.ledger import Ledger, Window
from lowlat_nodes.energy.node_use import NodeUse
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind


class Rig:
    """A ledger whose meters are in the hands of a test."""

    def __init__(self, *devices: str) -> None:
        self.clock = ManualClock(10**9)
        self.meters = {device: Told(self.clock, name=f"told/{device}", device=device) for device in devices}
        self.ledger = Ledger(list(self.meters.values()))
        self.ledger.read(self.clock.now_ns())

    def window(
        self,
        nodes: dict[str, NodeUse],
        seconds: float = 1.0,
        busy_gpu_ns: dict[str, float] | None = None,
        **joules: float,
    ) -> list[str]:
        self.clock.advance(round(seconds * 1e9))
        for device, amount in joules.items():
            self.meters[device].joules += amount
        self.ledger.read(self.clock.now_ns())
        return self.ledger.settle(Window(seconds, nodes, 4, 4e9 * seconds, busy_gpu_ns or {}))

    def node(self, name: str) -> NodeFigures:
        return next(node for node in self.ledger.nodes() if node.node == name)


def test_each_meter_is_shared_out_by_the_use_of_its_device() -> None:
    rig = Rig("cpu", "gpu0", "gpu1", "board")
    nodes = {
        "/one": NodeUse("action", 10, {"": 10.0}, 1e9, {"gpu0": 0.5e9}),
        "/two": NodeUse("detection", 30, {"": 30.0}, 2e9),
    }
    busy = {"gpu0": 1e9, "gpu1": 0.0}
    rig.window(nodes, busy_gpu_ns=busy, cpu=100.0, gpu0=200.0, gpu1=10.0, board=400.0)
    one, two = rig.node("/one"), rig.node("/two")
    assert one.joules == {"told/cpu": 25.0, "told/gpu0": 100.0}
    assert two.joules == {"told/cpu": 50.0}
    assert one.watts == one.joules
    assert (one.unit, one.results, one.rate_hz, one.cpu_s, one.gpu_s) == ("action", 10, 10.0, 1.0, 0.5)
    assert math.isnan(two.gpu_s)
    by_name = {meter.name: meter for meter in rig.ledger.meters()}
    assert by_name["told/gpu1"].unattributed_j == 10.0
    assert by_name["told/board"].unattributed_j == 400.0  # until it is known what results cost
    assert all(meter.imbalance_j == 0.0 for meter in by_name.values())


def test_a_gpu_whose_processes_nobody_can_tell_is_nobodys() -> None:
    rig = Rig("gpu0")
    rig.window({"/one": NodeUse("action", 10, {}, 1e9, {}, own_gpu_ns=0.25e9)}, gpu0=100.0)
    assert rig.node("/one").joules == {}
    assert rig.node("/one").gpu_s == 0.25
    assert rig.ledger.meters()[0].unattributed_j == 100.0


def test_a_node_that_goes_keeps_its_figures_for_ten_minutes_and_goes_on_with_them() -> None:
    rig = Rig("cpu")
    use = {"/one": NodeUse("action", 4, {"": 4.0}, 1e9)}
    rig.window(use, cpu=40.0)
    assert rig.window({}, 300.0, cpu=0.0) == []
    gone = rig.node("/one")
    assert (gone.rate_hz, gone.watts, gone.joules) == (0.0, {"told/cpu": 0.0}, {"told/cpu": 10.0})
    rig.window(use, cpu=40.0)
    assert rig.node("/one").joules == {"told/cpu": 20.0}
    assert rig.node("/one").results == 8
    assert rig.window({}, 300.0) == []
    assert rig.window({}, 301.0) == ["/one"]
    assert rig.ledger.nodes() == ()
    assert rig.ledger.meters()[0].nodes_j == 20.0  # which stays in the account


def test_of_too_many_nodes_those_are_forgotten_that_went_first() -> None:
    rig = Rig("cpu")
    rig.window({f"/old{index}": NodeUse("result") for index in range(100)})
    rig.window({f"/older{index}": NodeUse("result") for index in range(100)})
    forgotten = rig.window({f"/new{index}": NodeUse("result") for index in range(100)})
    assert len(rig.ledger.nodes()) == MAX_NODES
    assert len(forgotten) == 300 - MAX_NODES
    assert all(node.startswith("/old") and not node.startswith("/older") for node in forgotten)


def test_costs_of_a_node_come_from_all_meters() -> None:
    rig = Rig("cpu", "board")
    for index in range(120):
        count = (index // 5) % 7
        use = NodeUse("action", count, {"": float(count)}, 1e6 + count * 1e8)
        rig.window({"/one": use}, cpu=5.0 + 0.5 * count, board=20.0 + 2.0 * count)
    costs = {cost.meter: cost for cost in rig.node("/one").costs}
    assert costs["told/cpu"].joules == pytest.approx(0.5, rel=0.02)
    assert costs["told/board"].joules == pytest.approx(2.0, rel=0.02)
    assert rig.node("/one").watts["told/board"] == pytest.approx(2.0 * count, rel=0.05)


_USE = st.builds(
    NodeUse,
    unit=st.just("result"),
    results=st.integers(0, 100),
    work=st.dictionaries(
        st.sampled_from(["", "640x480"]), st.integers(0, 200).map(lambda halves: halves / 2)
    ),
    cpu_ns=st.floats(0.0, 8e9),
    gpu_ns=st.dictionaries(st.sampled_from(["gpu0", "gpu1"]), st.floats(0.0, 2e9)),
)
_DEVICES = ("cpu", "gpu0", "gpu1", "board", "memory")
_STEP = st.tuples(
    st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), _USE),
    st.dictionaries(st.sampled_from(["gpu0", "gpu1"]), st.floats(0.0, 3e9)),
    st.tuples(*[st.floats(0.0, 500.0)] * len(_DEVICES)),
    st.sets(st.sampled_from(_DEVICES), max_size=2),
    st.floats(0.1, 3.0),
)


@settings(max_examples=60)
@given(steps=st.lists(_STEP, max_size=10))
def test_nodes_and_accounts_agree_whoever_comes_and_goes(
    steps: list[tuple[dict[str, NodeUse], dict[str, float], tuple[float, ...], set[str], float]],
) -> None:
    rig = Rig(*_DEVICES)
    for nodes, busy, joules, away, seconds in steps:
        for device, meter in rig.meters.items():
            meter.kind = Kind.UNAVAILABLE if device in away else Kind.MEASURED
            meter.breaks += device in away
        assert rig.window(nodes, seconds, busy, **dict(zip(_DEVICES, joules, strict=True))) == []
        for figures in rig.ledger.meters():
            of_nodes = math.fsum(node.joules.get(figures.name, 0.0) for node in rig.ledger.nodes())
            assert figures.nodes_j == pytest.approx(of_nodes, abs=1e-7)
            assert figures.imbalance_j == pytest.approx(0.0, abs=1e-7)
            assert figures.joules <= rig.meters[figures.device].joules + 1e-7


def test_a_window_of_no_time_has_no_rate() -> None:
    rig = Rig("cpu")
    rig.window({"/one": NodeUse("action", 4)}, 0.0)
    assert rig.node("/one").rate_hz == 0.0
