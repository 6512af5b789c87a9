# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How long inferences are made to take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowlat_nodes.control.policies.latency import Latency, LatencyConfig
from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError


def draws_ms(count: int, *, seed: int = 0, **config: Any) -> np.ndarray:
    latency = Latency(64.1, build(LatencyConfig, config), seed)
    return np.array([latency.draw_ns(request) for request in range(count)]) * 1e-6


def test_the_delay_is_constant_unless_told_otherwise() -> None:
    latency = PolicyConfig(inference_delay_ms=36.1).latency
    assert {latency.draw_ns(request) for request in range(50)} == {36_100_000} == {latency.typical_ns}


def test_log_normal_draws_have_the_median_and_spread_that_were_asked_for() -> None:
    logarithms = np.log(draws_ms(4000, distribution="log_normal", sigma=0.4))
    assert np.exp(np.median(logarithms)) == pytest.approx(64.1, rel=0.03)
    assert logarithms.std() == pytest.approx(0.4, rel=0.05)
    assert np.abs(np.corrcoef(logarithms[1:], logarithms[:-1])[0, 1]) < 0.06  # no request tells of the next


def test_no_spread_is_the_median() -> None:
    assert set(draws_ms(20, distribution="log_normal", sigma=0.0)) == {64.1}


def test_spikes_come_as_often_as_asked_for_and_are_as_long() -> None:
    drawn = draws_ms(4000, distribution="spikes", spike_share=0.05, spike_ms=250.0)
    assert set(drawn) == {64.1, 250.0}
    assert (drawn == 250.0).mean() == pytest.approx(0.05, abs=0.012)


def test_a_request_takes_the_same_time_in_each_run_and_another_with_another_seed() -> None:
    config = {"distribution": "log_normal"}
    assert (draws_ms(30, **config) == draws_ms(30, **config)).all()
    assert (draws_ms(30, **config) != draws_ms(30, seed=1, **config)).all()


def test_draws_are_apart_from_the_noise_of_a_policy_with_the_same_seed() -> None:
    [drawn] = draws_ms(1, distribution="log_normal", sigma=1.0)
    assert np.log(drawn / 64.1) != pytest.approx(np.random.default_rng((0, 0)).standard_normal())


def test_a_spike_that_counts_as_hung_is_refused() -> None:
    spikes = {"inference_delay.distribution": "spikes", "inference_delay.spike_ms": 900.0}
    values = spikes | {"timeout_ms": 800.0}
    with pytest.raises(ConfigurationError, match=r"spike_ms: expected less than policy.timeout_ms, 800 ms"):
        build(PolicyConfig, values)
    assert build(PolicyConfig, values | {"inference_delay.spike_ms": 700.0})
    assert build(PolicyConfig, values | {"inference_delay.distribution": "constant"})


@pytest.mark.parametrize(
    "wrong", [{"distribution": "normal"}, {"sigma": -0.1}, {"spike_share": 1.1}, {"spike_ms": float("inf")}]
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        build(LatencyConfig, wrong)
