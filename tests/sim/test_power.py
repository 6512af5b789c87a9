# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.sim.power import NodeConfig, SimulatedMeter, Work
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind

S = 1_000_000_000


def shown(meter: SimulatedMeter, clock: ManualClock, now_s: float) -> float:
    clock.set(round(now_s * S))
    return meter.read().joules


@pytest.mark.parametrize("pattern", ["constant", "walk", "phases"])
def test_results_come_at_about_the_rate_and_never_two_at_a_time(pattern: str) -> None:
    work = Work(NodeConfig(pattern=pattern, rate_hz=20.0, busy_s=0.03, variation=0.5), 500.0, seed=4)
    assert len(work.starts_s) / 500.0 == pytest.approx(20.0, rel=0.25)
    assert (np.diff(work.starts_s) >= 0.03 - 1e-9).all()
    rates = np.diff(work.counts(np.arange(500.0)))
    assert (rates.std() > 2.0) == (pattern != "constant")


def test_energy_is_spread_over_a_result_and_counts_are_halves() -> None:
    work = Work(NodeConfig(joules=4.0, busy_s=0.5, rate_hz=1.0, pattern="constant"), 10.0, seed=0)
    start = work.starts_s[3]
    assert work.joules(start) == pytest.approx(12.0)
    assert work.joules(start + 0.25) == pytest.approx(14.0)
    assert work.joules(start + 0.5) == pytest.approx(16.0)
    assert work.counts(start + 0.25) == 3.5
    assert work.joules(-1.0) == 0.0


def test_scatter_is_in_each_result_and_not_in_the_mean() -> None:
    work = Work(NodeConfig(joules=2.0, scatter=0.3, busy_s=0.01), 500.0, seed=2)
    each = np.diff(work.joules(np.append(work.starts_s, work.ends_s[-1])))
    assert each.mean() == pytest.approx(2.0, rel=0.02)
    assert each.std() == pytest.approx(0.6, rel=0.1)


def test_the_counter_moves_once_a_period_at_its_phase() -> None:
    clock = ManualClock()
    meter = SimulatedMeter(50.0, period_s=0.1, phase=0.3, noise=0.0, clock=clock)
    assert shown(meter, clock, 0.029) == 0.0
    assert shown(meter, clock, 0.031) == pytest.approx(1.5)
    assert shown(meter, clock, 0.129) == pytest.approx(1.5)
    assert shown(meter, clock, 0.131) == pytest.approx(6.5)


def test_each_move_is_wrong_by_the_noise_and_all_of_them_by_the_gain() -> None:
    clock = ManualClock()
    meter = SimulatedMeter(100.0, noise=0.03, gain=1.1, clock=clock, seed=5)
    moves = np.diff([shown(meter, clock, 0.05 + 0.1 * number) for number in range(5000)])
    assert moves.mean() == pytest.approx(11.0, rel=0.01)
    assert moves.std() == pytest.approx(0.33, rel=0.1)


@given(steps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30), noise=st.floats(0.0, 2.0))
@settings(max_examples=50, deadline=None)
def test_it_never_falls(steps: list[float], noise: float) -> None:
    clock = ManualClock()
    meter = SimulatedMeter(10.0, noise=noise, clock=clock)
    found = [shown(meter, clock, float(now_s)) for now_s in np.cumsum(steps)]
    assert (np.diff(found) >= 0.0).all()


def test_what_is_spent_shows_when_it_next_moves() -> None:
    clock = ManualClock()
    meter = SimulatedMeter(0.0, noise=0.0, clock=clock)
    clock.set(S // 20)
    meter.spend(3.0)
    assert meter.read().joules == 0.0
    assert shown(meter, clock, 0.11) == pytest.approx(3.0)
    meter.spend(4.0)
    assert shown(meter, clock, 10.0) == pytest.approx(7.0)


def test_threads_may_spend() -> None:
    meter = SimulatedMeter(0.0, noise=0.0, clock=(clock := ManualClock()))
    threads = [
        threading.Thread(target=lambda: [meter.spend(0.01) for _ in range(1000)], daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown(meter, clock, 1.0) == pytest.approx(40.0)


def test_it_says_what_it_is() -> None:
    meter = SimulatedMeter(clock=ManualClock(7 * S))
    reading = meter.read()
    assert meter.fake == "simulated"
    assert (meter.name, meter.device, meter.covers, meter.part_of) == ("simulated/0", "gpu0", ("gpu0",), "")
    assert (reading.kind, reading.time_ns, reading.period_s) == (Kind.MEASURED, 7 * S, 0.1)
    meter.close()


@pytest.mark.parametrize("wrong", [{"period_s": 0.0}, {"phase": 1.0}, {"noise": -0.1}, {"idle_w": -1.0}])
def test_a_meter_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="expected a period above 0"):
        SimulatedMeter(**wrong)


def test_a_pattern_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'waves'"):
        Work(NodeConfig(pattern="waves"), 1.0, seed=0)
