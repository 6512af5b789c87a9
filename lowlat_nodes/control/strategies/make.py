# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From parameters to a strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lowlat_nodes.control.strategies.auto import Auto, Circumstances
from lowlat_nodes.control.strategies.naive import NaiveAsync
from lowlat_nodes.control.strategies.pipelined import Pipelined
from lowlat_nodes.control.strategies.rtc import Rtc, RtcTrained
from lowlat_nodes.control.strategies.strategy import Strategy, Trigger
from lowlat_nodes.control.strategies.sync import Sync
from lowlat_nodes.control.strategies.vlash import DelayConditioned, Vlash

STRATEGIES = (
    "sync",
    "naive_async",
    "temporal_ensemble",
    "rtc",
    "rtc_trained",
    "vlash",
    "vlash_delay_conditioned",
    "a2c2",
    "pipelined",
    "auto",
)
PROJECTING = ("vlash", "vlash_delay_conditioned", "pipelined")
"""Those that always show the policy the state at the swap."""

CORRECTED = ("a2c2",)
"""Those that are nothing without a corrector."""

LAUNCHES = ("back_to_back", "just_in_time")


def make_strategy(
    name: str,
    *,
    launch: str,
    margin_ticks: int,
    naive_aligned: bool,
    slots: int = 1,
    kept_slots: int = 0,
    circumstances: Circumstances | None = None,
) -> Strategy:
    """Return a strategy by its parameter names; the slots are for `pipelined`, `circumstances` for `auto`.

    Raises:
        ValueError: If the name or the launch rule is unknown, or `auto` has no circumstances.
    """
    if launch not in LAUNCHES:
        raise ValueError(f"expected one of {LAUNCHES}, got {launch!r}")
    trigger = Trigger(launch == "back_to_back", margin_ticks)
    makers: Mapping[str, Callable[[], Strategy]] = {
        "sync": Sync,
        "naive_async": lambda: NaiveAsync(trigger, naive_aligned),
        # The average of the one and the correction of the other are the loop's.
        "temporal_ensemble": lambda: NaiveAsync(trigger, aligned=True),
        "a2c2": lambda: NaiveAsync(trigger, aligned=True),
        "rtc": lambda: Rtc(trigger),
        "rtc_trained": lambda: RtcTrained(trigger),
        "vlash": lambda: Vlash(trigger),
        "vlash_delay_conditioned": lambda: DelayConditioned(trigger),
        "pipelined": lambda: Pipelined(trigger, slots, kept_slots),
    }
    if name in makers:
        return makers[name]()
    if name == "auto":
        if circumstances is None:
            raise ValueError("expected the circumstances that auto chooses by")
        return Auto(trigger, circumstances)
    raise ValueError(f"expected one of {STRATEGIES}, got {name!r}")
