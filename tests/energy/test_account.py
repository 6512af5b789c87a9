# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meters_for_tests import Told

from lowlat_nodes.energy.account import Account
from lowlat_nodes.energy.figures import MeterFigures
from lowlat_nodes.energy.share import Use
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind

SECOND_NS = 10**9


class Rig:
    """An account of a meter, both in the hands of a test."""

    def __init__(self, device: str = "cpu") -> None:
        self.clock = ManualClock(SECOND_NS)
        self.meter = Told(self.clock, device=device)
        self.account = Account(self.meter, 60.0)
        self.account.read(self.clock.now_ns())

    def read(self, joules: float, seconds: float = 1.0) -> None:
        self.clock.advance(round(seconds * 1e9))
        self.meter.joules += joules
        self.account.read(self.clock.now_ns())

    def settle(self, nodes: dict[str, float] | None = None, busy: float = 1.0) -> dict[str, float]:
        """Share out a second in which nodes were at work for parts of it, on one CPU."""
        nodes_ns = {node: part * 1e9 for node, part in (nodes or {}).items()}
        found = dict(self.account.settle(Use(nodes_ns, busy * 1e9, 1e9), {}))
        self.account.solve()
        return found

    @property
    def figures(self) -> MeterFigures:
        return self.account.figures()


def test_what_is_counted_is_shared_out() -> None:
    rig = Rig()
    rig.read(10.0)
    assert rig.settle({"/a": 0.5}) == {"/a": 5.0}
    figures = rig.figures
    assert (figures.joules, figures.nodes_j, figures.unattributed_j) == (10.0, 5.0, 5.0)
    assert figures.watts == 10.0
    assert math.isnan(figures.idle_w)
    assert figures.imbalance_j == 0.0
    assert rig.account.nodes_w == {"/a": 5.0}


def test_what_nodes_did_waits_for_a_counter_that_stands_still() -> None:
    rig = Rig()
    rig.meter.moved_ns = rig.clock.now_ns()
    rig.read(0.0)
    assert rig.settle({"/a": 1.0}) == {}
    rig.read(0.0)
    assert rig.settle({"/b": 1.0}) == {}
    rig.meter.moved_ns += 3 * SECOND_NS
    rig.read(30.0)
    assert rig.settle() == {"/a": 10.0, "/b": 10.0}
    assert rig.figures.watts == 10.0


def test_nothing_is_known_of_a_break() -> None:
    rig = Rig()
    rig.read(10.0)
    rig.settle({"/a": 1.0})
    rig.meter.breaks += 1
    rig.read(7.0)  # what the counter had when it began anew is in it
    assert rig.settle({"/a": 1.0}) == {"/a": 0.0}
    figures = rig.figures
    assert (figures.joules, figures.nodes_j, figures.unattributed_j) == (17.0, 10.0, 7.0)
    assert figures.unmetered_s == 1.0
    rig.read(10.0)
    assert rig.settle({"/a": 1.0}) == {"/a": 10.0}


def test_a_meter_that_cannot_be_read() -> None:
    rig = Rig()
    rig.read(10.0)
    rig.settle({"/a": 1.0})
    rig.meter.kind, rig.meter.why = Kind.UNAVAILABLE, "the driver is gone"
    for _ in range(5):
        rig.read(0.0)
        assert rig.settle({"/a": 1.0}) == {}
    figures = rig.figures
    assert (figures.kind, figures.why) == (Kind.UNAVAILABLE, "the driver is gone")
    assert math.isnan(figures.watts)
    assert (figures.joules, figures.unmetered_s) == (10.0, 5.0)
    rig.meter.kind, rig.meter.breaks, rig.meter.why = Kind.MEASURED, 1, ""
    rig.read(0.0)
    rig.settle({"/a": 1.0})
    rig.read(10.0)
    rig.settle({"/a": 1.0})
    figures = rig.figures
    assert (figures.kind, figures.why, figures.joules, figures.unmetered_s) == (Kind.MEASURED, "", 20.0, 6.0)
    assert figures.imbalance_j == 0.0


@pytest.mark.parametrize("joules", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_reading(joules: float) -> None:
    rig = Rig()
    rig.read(10.0)
    rig.settle()
    rig.meter.joules = joules
    rig.read(0.0)
    rig.settle()
    assert rig.figures.kind is Kind.UNAVAILABLE
    assert "expected a number" in rig.figures.why
    assert rig.figures.joules == 10.0


def test_a_counter_that_falls_takes_nothing_back() -> None:
    rig = Rig()
    rig.read(10.0)
    rig.settle({"/a": 1.0})
    rig.read(-8.0)
    assert rig.settle({"/a": 1.0}) == {}
    assert rig.figures.joules == 10.0
    assert rig.figures.unmetered_s == 1.0
    rig.read(5.0)
    assert rig.settle({"/a": 1.0}) == {"/a": 5.0}
    assert rig.figures.joules == 15.0
    assert rig.figures.imbalance_j == 0.0


def test_modelled_joules_are_never_added_to_measured_ones() -> None:
    rig = Rig()
    rig.read(10.0)
    rig.settle()
    rig.meter.kind = Kind.MODELLED
    rig.read(10.0)
    rig.settle()
    assert rig.figures.joules == 10.0
    assert "was measured, is modelled now" in rig.figures.why


def test_a_machine_that_was_suspended() -> None:
    rig = Rig()
    rig.read(10.0)
    rig.settle({"/a": 1.0})
    rig.account.interrupt()
    rig.read(500.0)
    assert rig.settle({"/a": 1.0}) == {"/a": 0.0}
    assert rig.figures.unattributed_j == 500.0
    assert rig.figures.joules == 510.0


def test_a_board_is_shared_out_by_what_results_cost() -> None:
    rig = Rig("board")
    rates = [(index % 5, (index // 5) % 4) for index in range(120)]
    for a, b in rates:
        rig.read(20.0 + 3.0 * a + 5.0 * b)
        parts = rig.account.settle(None, {("/a", ""): float(a), ("/b", ""): float(b)})
        rig.account.solve()
    costs = {node: rig.account.costs()[node][0] for node in ("/a", "/b")}
    assert costs["/a"].joules == pytest.approx(3.0, rel=0.02)
    assert costs["/b"].joules == pytest.approx(5.0, rel=0.02)
    assert {cost.method for cost in costs.values()} == {"regression"}
    a, b = rates[-1]
    assert parts == pytest.approx({node: j for node, j in (("/a", 3.0 * a), ("/b", 5.0 * b)) if j}, rel=0.03)
    assert rig.figures.idle_w == pytest.approx(20.0, rel=0.03)


def test_a_constant_rate_costs_its_share_and_says_why() -> None:
    rig = Rig()
    for _ in range(60):
        rig.read(30.0)
        rig.account.settle(Use({"/a": 0.5e9}, 1e9, 1e9), {("/a", ""): 10.0})
        rig.account.solve()
    (cost,) = rig.account.costs()["/a"]
    assert (cost.method, cost.error_j) == ("share", 0.0)
    assert cost.joules == pytest.approx(1.5)
    assert "rate" in cost.why
    assert "idle power is not known" in cost.why


def test_a_forgotten_node_costs_nothing_known() -> None:
    rig = Rig()
    rig.read(30.0)
    rig.account.settle(Use({"/a": 0.5e9}, 1e9, 1e9), {("/a", ""): 10.0})
    rig.account.forget("/a")
    assert rig.account.costs() == {}


@dataclass(frozen=True)
class Step:
    joules: float
    seconds: float
    kind: Kind
    breaks: int
    moved: bool
    interrupt: bool
    settle: bool
    nodes: dict[str, float]
    results: dict[str, float]


_NODES = st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), st.floats(0.0, 5.0), max_size=3)
_STEPS = st.builds(
    Step,
    joules=st.floats(-50.0, 500.0) | st.just(0.0) | st.sampled_from([math.nan, math.inf]),
    seconds=st.floats(0.0, 3.0),
    kind=st.sampled_from([Kind.MEASURED] * 4 + [Kind.UNAVAILABLE, Kind.MODELLED]),
    breaks=st.sampled_from([0, 0, 0, 1]),
    moved=st.booleans(),
    interrupt=st.sampled_from([False] * 5 + [True]),
    settle=st.booleans(),
    nodes=_NODES,
    results=st.dictionaries(
        st.sampled_from(["/a", "/b", "/c"]), st.integers(0, 20).map(lambda halves: halves / 2)
    ),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(_STEPS, max_size=40), device=st.sampled_from(["cpu", "board"]))
def test_the_parts_are_what_was_counted_whatever_happens(steps: list[Step], device: str) -> None:
    rig = Rig(device)
    totals = [0.0]
    nodes_j: dict[str, float] = {}
    for step in steps:
        rig.clock.advance(round(step.seconds * 1e9))
        before = rig.meter.joules
        rig.meter.joules += step.joules
        rig.meter.kind = step.kind
        rig.meter.breaks += step.breaks
        if step.moved:
            rig.meter.moved_ns = rig.clock.now_ns()
        if step.interrupt:
            rig.account.interrupt()
        rig.account.read(rig.clock.now_ns())
        if not math.isfinite(rig.meter.joules):
            rig.meter.joules = before
        if step.settle:
            use = None
            if device == "cpu":
                use = Use({node: part * 1e9 for node, part in step.nodes.items()}, 1e9, 2e9)
            work = {(node, ""): results for node, results in step.results.items()}
            for node, joules in rig.account.settle(use, work).items():
                assert joules >= 0.0
                nodes_j[node] = nodes_j.get(node, 0.0) + joules
            rig.account.solve()
            figures = rig.figures
            totals.append(figures.joules)
            assert figures.imbalance_j == pytest.approx(0.0, abs=1e-8)
            assert figures.idle_j + figures.nodes_j + figures.unattributed_j == pytest.approx(
                figures.joules, abs=1e-8
            )
            assert min(figures.idle_j, figures.nodes_j) >= 0.0
            assert figures.unattributed_j >= -1e-8
            assert figures.nodes_j == pytest.approx(math.fsum(nodes_j.values()), abs=1e-8)
    assert all(later >= earlier for earlier, later in pairwise(totals))


def test_idle_power_that_the_meter_knows_is_not_found_anew() -> None:
    """Work of others that never varies looks like idle power to whoever does not know it."""
    rig = Rig()
    rig.meter.idle_w = 4.0
    for _ in range(60):
        rig.read(10.0)
        assert rig.settle({"/a": 0.25}, busy=1.0) == {"/a": pytest.approx(1.5)}
    figures = rig.figures
    assert figures.idle_w == 4.0
    assert figures.idle_j == pytest.approx(240.0)
    assert figures.unattributed_j == pytest.approx(270.0)
