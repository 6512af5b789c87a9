# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The delay estimate follows a quantile and forgets spikes."""

from __future__ import annotations

import pytest

from lowlat_nodes.control.delay import DelayEstimator


def test_nothing_is_known_until_something_was_measured() -> None:
    delay = DelayEstimator()
    assert (delay.estimate_ns, delay.known) == (0, False)
    delay.record(3)
    assert (delay.estimate_ns, delay.known) == (3, True)


def test_rare_spikes_do_not_count_and_a_lasting_change_does() -> None:
    delay = DelayEstimator(window=40, quantile=0.9)
    for count in range(40):
        delay.record(1500 if count % 20 == 7 else 150)
    assert delay.estimate_ns == 150
    for _ in range(5):
        delay.record(300)
    assert delay.estimate_ns == 300


def test_the_warm_up_is_forgotten_after_a_window() -> None:
    delay = DelayEstimator(window=10, quantile=1.0)
    delay.record(10_000)
    for _ in range(10):
        delay.record(100)
    assert delay.estimate_ns == 100


@pytest.mark.parametrize(("window", "quantile"), [(0, 0.5), (1, 0.0), (1, 1.1)])
def test_senseless_settings_are_refused(window: int, quantile: float) -> None:
    with pytest.raises(ValueError, match="expected window"):
        DelayEstimator(window=window, quantile=quantile)
