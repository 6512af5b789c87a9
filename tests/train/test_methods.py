# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lowlat_nodes.control.strategies.make import STRATEGIES
from lowlat_nodes.train.methods import METHODS


def test_methods_differ_in_what_they_say() -> None:
    made = {name: method.execution(4) for name, method in METHODS.items()}
    assert made["oracle"].delay_steps == 0
    assert {how.delay_steps for name, how in made.items() if name != "oracle"} == {4}
    assert [made[name].rows for name in ("oracle", "sync", "sync_short", "naive_async")] == [4, 25, 4, 0]
    assert METHODS["sync_short"].execution(0) == METHODS["oracle"].execution(0)
    whole = {(made[name], one.policy, one.corrector, one.guidance) for name, one in METHODS.items()}
    assert len(whole) == len(METHODS)


def test_jitter_comes_on_top_of_the_delay_and_is_allowed_for() -> None:
    how = METHODS["vlash_actuator"].execution(2, 3)
    assert (how.delay_steps, how.jitter_steps, how.margin_steps) == (2, 3, 1)
    assert METHODS["oracle"].execution(2, 3) == METHODS["oracle"].execution(2)


def test_strategies_are_known() -> None:
    assert {method.strategy for method in METHODS.values()} <= set(STRATEGIES)
