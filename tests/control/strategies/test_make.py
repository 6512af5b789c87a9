# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When each strategy launches, and for which instant."""

from __future__ import annotations

import pytest

from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.control.strategies.strategy import Intent, Situation


def decide(name: str, remaining_ns: int, *, delay_ns: int = 25, launch: str = "back_to_back", aligned=False):
    strategy = make_strategy(name, launch=launch, margin_ticks=1, naive_aligned=aligned)
    return strategy.decide(Situation(1000, 10, delay_ns, remaining_ns))


def test_sync_waits_for_the_end_of_the_plan() -> None:
    assert decide("sync", 1) is None
    assert decide("sync", 0) == Intent(None)


def test_naive_launches_at_once_and_takes_the_state_as_it_is() -> None:
    assert decide("naive_async", 500) == Intent(None)
    assert decide("naive_async", 500, aligned=True) == Intent(1000, aligned=True)


def test_a2c2_corrects_aligned_launches() -> None:
    assert decide("a2c2", 500) == Intent(1000, aligned=True)


def test_vlash_aims_at_the_tick_at_which_the_answer_is_expected() -> None:
    assert decide("vlash", 500) == Intent(1000 + 40, project=True)  # 25 ns are 3 ticks, and one of margin
    assert decide("vlash", 500, delay_ns=0) == Intent(None)


@pytest.mark.parametrize("name", ["rtc", "rtc_trained"])
def test_rtc_begins_at_the_launch_and_is_committed_until_the_answer(name: str) -> None:
    assert decide(name, 500) == Intent(1000, aligned=True, committed_until_ns=1040)


@pytest.mark.parametrize(
    "name",
    ["naive_async", "temporal_ensemble", "rtc", "rtc_trained", "vlash", "vlash_delay_conditioned", "a2c2"],
)
@pytest.mark.parametrize(("remaining_ns", "launches"), [(41, False), (40, True), (0, True)])
def test_just_in_time_launches_when_the_plan_lasts_no_longer_than_the_delay(
    name: str, remaining_ns: int, launches: bool
) -> None:
    assert (decide(name, remaining_ns, launch="just_in_time") is not None) == launches


def test_unknown_names_are_refused() -> None:
    for name, launch in (("rtx", "back_to_back"), ("vlash", "sometimes")):
        with pytest.raises(ValueError, match="expected one of"):
            make_strategy(name, launch=launch, margin_ticks=1, naive_aligned=False)
