# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from lowlat_nodes.energy.breaker import BreakerSettings
from lowlat_nodes.energy.guard import MOST_BUCKETS, MOST_SOURCES, OTHER, Guard, GuardSettings
from lowlat_nodes.stream.bound import UNBOUNDED
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

S = 1_000_000_000
HOUR_NS = 3600 * S
NO_BREAKER = GuardSettings(breaker=BreakerSettings(cuts=0))


class Caller:
    """Makes calls of given costs at 30 Hz, and says which were cut."""

    def __init__(self, settings: GuardSettings = NO_BREAKER, most: float = 1e6, free: float = 0.01) -> None:
        self.clock = ManualClock(S)
        self.guard = Guard(settings, most=most, free=free, clock=self.clock)

    def call(self, cost: float, source: str = "camera", bucket: str = "") -> bool | None:
        """Return whether a call was cut; None if it was refused."""
        self.clock.advance(S // 30)
        limit = self.guard.limit(source, bucket)
        if limit == 0.0:
            return None
        cut = not cost <= limit
        self.guard.note(cost, cut=cut, source=source, bucket=bucket)
        return cut

    def cuts(self, costs: Iterable[float], source: str = "camera", bucket: str = "") -> int:
        return sum(self.call(cost, source, bucket) is True for cost in costs)

    def limit(self, bucket: str = "") -> float:
        return next(each.limit for each in self.guard.state().buckets if each.bucket == bucket)


def log_normal(seed: int, sigma: float, count: int = 10_000) -> list[float]:
    return np.random.default_rng(seed).lognormal(0.0, sigma, count).tolist()


def mixture(seed: int, share: float, height: float, count: int = 10_000) -> list[float]:
    random = np.random.default_rng(seed)
    costs = random.normal(1.0, 0.15, count).clip(0.2)
    return np.where(random.random(count) < share, costs * height, costs).tolist()


def bursts(seed: int, height: float, every: int = 150, length: int = 20, count: int = 10_000) -> list[float]:
    random = np.random.default_rng(seed)
    costs = random.normal(1.0, 0.15, count).clip(0.2)
    inside = (np.arange(count) + int(random.integers(every))) % every < length
    return np.where(inside, costs * height, costs).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.3, 0.5, 0.6])
def test_a_heavy_tail_is_not_cut_and_eight_times_the_mean_always_is(seed: int, sigma: float) -> None:
    caller = Caller()
    costs = log_normal(seed, sigma)
    assert caller.cuts(costs) <= 10
    assert caller.cuts([8.0 * float(np.mean(costs))] * 20) == 20


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("share", "height"), [(0.03, 3.0), (0.05, 5.0), (0.1, 4.0), (0.5, 6.0)])
def test_calls_of_two_kinds_are_not_cut(seed: int, share: float, height: float) -> None:
    caller = Caller()
    costs = mixture(seed, share, height)
    assert caller.cuts(costs) <= 10
    assert caller.cuts([8.0 * float(np.mean(costs))] * 20) == 20


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("height", [2.0, 4.0, 5.0])
def test_bursts_are_not_cut(seed: int, height: float) -> None:
    assert Caller().cuts(bursts(seed, height)) <= 10


@pytest.mark.parametrize("seed", range(5))
def test_attacks_among_normal_calls_are_all_cut_and_nothing_else(seed: int) -> None:
    caller = Caller()
    costs = log_normal(seed, 0.5)
    caller.cuts(costs[:1000])
    attack = 8.0 * float(np.mean(costs))
    false = attacks_cut = 0
    for number, cost in enumerate(costs):
        false += caller.call(cost) is True
        if number % 10 == 0:
            attacks_cut += caller.call(attack, source=f"attacker{number}") is True
    assert attacks_cut == 1000
    assert false <= 10


def test_an_attacker_below_the_limit_raises_it_at_the_rate_of_the_settings_only() -> None:
    caller = Caller()
    caller.cuts(log_normal(0, 0.2, 1000))
    calm = caller.guard.state().buckets[0].mean
    for _ in range(5000):  # nearly three minutes
        caller.call(0.999 * caller.limit())
    assert caller.limit() <= 7.0 * calm * 1.1
    for _ in range(5000):  # calls of eight hours, all just below the limit
        caller.clock.advance(HOUR_NS // 1250 * 2)
        caller.call(0.999 * caller.limit())
    assert caller.limit() <= 7.0 * calm * 2.0 ** (8.5 / GuardSettings().doubling_h)


def test_cheap_calls_of_one_source_do_not_get_the_others_cut() -> None:
    caller = Caller()
    caller.cuts(log_normal(0, 0.3, 1000))
    cut = 0
    for cost in log_normal(1, 0.3, 1000):
        caller.cuts([0.0] * 30, source="flood")
        cut += caller.call(cost) is True
    assert cut <= 1


def test_less_than_half_of_the_first_calls_may_be_absurd() -> None:
    caller = Caller()
    caller.cuts([1.0, 1.0, 1000.0] * 67)
    assert caller.limit() <= 30.0
    caller.cuts([1.0] * 10_000)
    assert caller.cuts([30.0]) == 1


@pytest.mark.parametrize("while_open", ["mean", "warn"])
def test_a_lasting_change_is_learnt_in_hours(while_open: str) -> None:
    caller = Caller(GuardSettings(breaker=BreakerSettings(while_open=while_open)))
    caller.cuts(log_normal(0, 0.2, 1000))
    assert caller.cuts([20.0] * 100) == 100
    assert caller.guard.state().open == ("camera",)
    for _ in range(20_000):
        caller.clock.advance(12 * HOUR_NS // 20_000)
        caller.call(20.0)
    assert caller.cuts([20.0] * 10) == 0
    assert caller.guard.state().open == ()


def test_before_anything_is_known_the_hard_maximum_holds() -> None:
    caller = Caller(most=50.0)
    assert caller.call(49.0) is False
    assert caller.call(51.0) is True
    assert Caller(build(GuardSettings, {"most": 20.0}), most=50.0).call(21.0) is True


def test_what_is_free_is_never_cut() -> None:
    caller = Caller(free=100.0)
    caller.cuts([0.0] * 1000)
    assert caller.call(100.0) is False
    assert caller.call(101.0) is True


def test_more_may_become_free() -> None:
    caller = Caller(most=1000.0, free=100.0)
    caller.cuts([0.0] * 1000)
    caller.guard.set_free(300.0)
    assert caller.cuts([300.0] * 50) == 0
    caller.guard.set_free(1e9)
    assert caller.guard.limit("camera") == 1000.0
    fixed = Guard(GuardSettings(free=50.0), most=1000.0, free=100.0)
    fixed.set_free(300.0)
    for _ in range(1000):
        fixed.note(0.0, cut=False, source="camera")
    assert fixed.limit("camera") == 50.0


def test_a_cost_that_is_no_number_is_cut_and_spoils_nothing() -> None:
    caller = Caller()
    caller.cuts([1.0] * 300)
    for cost in (math.nan, math.inf, -math.inf, -5.0):
        caller.call(cost)
    bucket = caller.guard.state().buckets[0]
    assert math.isfinite(bucket.mean)
    assert bucket.mean == pytest.approx(1.0, abs=0.05)
    assert bucket.limit <= 7.5


def test_shapes_have_statistics_of_their_own() -> None:
    caller = Caller()
    for _ in range(500):
        caller.call(1.0, bucket="320x240")
        caller.call(50.0, bucket="1920x1080")
    assert caller.call(10.0, bucket="320x240") is True
    assert caller.call(60.0, bucket="1920x1080") is False


def test_buckets_and_sources_are_bounded() -> None:
    caller = Caller()
    for number in range(300):
        caller.call(1.0, source=f"{number}" * 100, bucket=f"{number}")
    state = caller.guard.state()
    assert len(state.buckets) == MOST_BUCKETS + 1
    assert state.buckets[-1].bucket == OTHER
    assert state.buckets[-1].calls == 300 - MOST_BUCKETS


def test_a_source_that_keeps_being_cut_is_refused_and_tried_again() -> None:
    caller = Caller(GuardSettings())
    caller.cuts(log_normal(0, 0.2, 500), source="good")
    assert [caller.call(20.0, "bad") for _ in range(7)] == [True] * 5 + [None] * 2
    assert caller.call(1.0, "good") is False
    state = caller.guard.state()
    assert (state.cuts, state.refused, state.opened, state.open) == (5, 2, 1, ("bad",))

    caller.clock.advance(30 * S)
    assert caller.call(20.0, "bad") is True
    assert caller.call(1.0, "bad") is None
    caller.clock.advance(30 * S)
    assert [caller.call(1.0, "bad") for _ in range(3)] == [False] * 3
    assert caller.guard.state().open == ()
    assert caller.guard.state().opened == 2


def test_one_cut_now_and_then_opens_no_breaker() -> None:
    caller = Caller(GuardSettings())
    caller.cuts([1.0] * 500)
    for _ in range(100):
        assert caller.call(20.0) is True
        assert caller.cuts([1.0] * 5) == 0
    assert caller.guard.state().opened == 0


def test_without_refusing_a_source_gets_the_mean_while_its_breaker_is_open() -> None:
    caller = Caller(GuardSettings(breaker=BreakerSettings(while_open="mean")))
    caller.cuts(log_normal(0, 0.2, 500), source="good")
    for _ in range(5):
        caller.call(20.0)
    mean = caller.guard.state().buckets[0].mean
    assert caller.guard.limit("camera") == pytest.approx(mean)
    assert caller.guard.limit("good") > 2.0 * mean
    assert caller.guard.state().refused == 0


def test_a_source_with_an_open_breaker_may_be_as_any_other() -> None:
    clock = ManualClock(S)
    guard = Guard(GuardSettings(), most=1e6, free=1.0, while_open="warn", clock=clock)
    for _ in range(300):
        guard.note(10.0, cut=False, source="good")
    for _ in range(300):
        guard.note(1000.0, cut=True, source="bad")
    assert guard.state().open == ("bad",)
    assert guard.limit("bad") == guard.limit("good")
    assert guard.state().refused == 0
    assert guard.state().buckets[0].calls == 600


def test_many_names_do_not_close_an_open_breaker() -> None:
    caller = Caller(GuardSettings())
    caller.cuts([1.0] * 500, source="good")
    caller.cuts([20.0] * 5, source="bad")
    for number in range(2 * MOST_SOURCES):
        caller.call(1.0, source=f"{number}")
    assert caller.call(1.0, "bad") is None


def test_a_guard_that_is_off_has_the_hard_maximum_only() -> None:
    caller = Caller(GuardSettings(enabled=False), most=50.0)
    caller.cuts([1.0] * 500)
    assert caller.guard.limit("camera") == 50.0
    assert caller.cuts([20.0] * 100) == 0
    assert caller.call(51.0) is True


@pytest.mark.parametrize(("most", "free"), [(0.5, 1.0), (math.inf, 0.0)])
def test_a_maximum_that_makes_no_sense_is_refused(most: float, free: float) -> None:
    with pytest.raises(
        ConfigurationError, match=r"energy\.guard\.most: expected at least energy\.guard\.free"
    ):
        Guard(GuardSettings(free=free), most=most, free=1.0)


def test_a_maximum_of_the_settings_below_what_is_usually_free_counts() -> None:
    guard = Guard(GuardSettings(most=20.0), most=1000.0, free=100.0)
    assert guard.limit("camera") == 20.0


def test_factors_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"most_factor: expected at least least_factor, 3, got 2"):
        build(GuardSettings, {"most_factor": 2.0})


def test_unbounded_lets_all_pass() -> None:
    UNBOUNDED.note(1e9, cut=False, source="camera")
    assert UNBOUNDED.limit("camera") == math.inf
