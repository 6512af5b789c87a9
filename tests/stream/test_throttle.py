# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Throttle: the rate is right whatever the input's, and no clock makes it go silent."""

from __future__ import annotations

import math

import pytest

from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.throttle import Pace, Throttle, ThrottleConfig
from lowlat_nodes.stream.trace import Trace

S = 1_000_000_000


def passed(throttle: Throttle, times_ns: list[int], topic: str = "/a") -> list[int]:
    """The times at which messages went through."""
    return [time for time in times_ns if throttle.process(Message(topic, None, Trace(received_ns=time)))]


@pytest.mark.parametrize(
    ("input_hz", "max_hz", "expected_hz"), [(100, 30, 30), (100, 7, 7), (10, 30, 10), (50, 50, 50)]
)
def test_the_mean_rate_is_the_lower_of_both(input_hz: int, max_hz: float, expected_hz: int) -> None:
    throttle = Throttle(ThrottleConfig(max_hz=max_hz))
    times = [5 * S + index * S // input_hz for index in range(10 * input_hz)]
    assert len(passed(throttle, times)) == pytest.approx(10 * expected_hz, abs=1)


def test_topics_are_throttled_apart() -> None:
    throttle = Throttle(ThrottleConfig(max_hz=1.0))
    assert passed(throttle, [S], "/a") == passed(throttle, [S], "/b") == [S]
    assert passed(throttle, [S + 1], "/a") == []


def test_after_a_gap_there_is_no_burst() -> None:
    throttle = Throttle(ThrottleConfig(max_hz=10.0))
    assert passed(throttle, [S, 100 * S, 100 * S + 1, 100 * S + 2]) == [S, 100 * S]


def test_a_clock_that_jumps_back_starts_anew() -> None:
    throttle = Throttle(ThrottleConfig(max_hz=1.0))
    assert passed(throttle, [100 * S, 5 * S, 5 * S + S // 2, 6 * S]) == [100 * S, 5 * S, 6 * S]


def test_a_result_is_its_input_under_another_name() -> None:
    throttle = Throttle(ThrottleConfig(max_hz=1.0, topics=("/image",), suffix="/slow"))
    assert (throttle.inputs, throttle.outputs) == (("/image",), ("/image/slow",))
    message = Message("/image", "pixels", Trace(capture_ns=5, received_ns=9), 7, "camera")
    (result,) = throttle.process(message)
    assert (result.topic, result.payload, result.sequence, result.frame_id) == (
        "/image/slow",
        "pixels",
        7,
        "camera",
    )
    assert result.trace.capture_ns == 5
    assert result.trace is not message.trace


@pytest.mark.parametrize("values", [{}, {"max_hz": 0.0}, {"max_hz": -1.0}, {"max_hz": 5.0, "topic": ["/a"]}])
def test_wrong_parameters_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"max_hz|topics"):
        build(ThrottleConfig, values)


def test_a_pace_admits_the_first_and_then_one_a_period() -> None:
    pace = Pace(10.0)
    assert [pace.admits(time) for time in (0, 1, S // 10 - 1, S // 10, S // 10 + 1)] == [
        True, False, False, True, False,
    ]  # fmt: skip


def test_a_pace_says_how_long_to_wait_and_changes_from_the_last_event_on() -> None:
    pace = Pace(1.0)
    assert pace.wait_ns(5 * S) == 0
    assert pace.admits(5 * S)
    assert pace.wait_ns(5 * S + 1) == S - 1
    pace.change(2.0)
    assert pace.wait_ns(5 * S) == S // 2
    pace.change(0.5)
    assert pace.wait_ns(6 * S) == S
    assert pace.wait_ns(7 * S) == 0
    assert pace.wait_ns(0) == 0, "the clock jumped"
    pace.change(math.inf)
    assert pace.admits(5 * S + 1)
    assert pace.admits(5 * S + 1)
