# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The filter of boxes, against the textbook's matrices and against motions that are known."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.vision import motion
from lowlat_nodes.vision.motion import BoxMotion

FIRST = np.array([0])


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    """Return boxes of centres and sides as edges."""
    x, y, width, height = np.array(rows, np.float32).T
    return np.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), axis=1)


def test_it_is_the_kalman_filter() -> None:
    """Of one coordinate, in matrices."""
    duration_s, side = 0.04, 40.0
    estimate = BoxMotion.start(boxes((100, 50, side, 20)))
    noise = (motion._MEASUREMENT * side) ** 2
    state, covariance = np.array([100.0, 0.0]), np.diag([noise, (motion._SPEED[0] * side) ** 2])
    pass_ = np.array([[1.0, duration_s], [0.0, 1.0]])
    drift = motion._ACCELERATION[0] * side**2
    added = drift * np.array(
        [[duration_s**3 / 3, duration_s**2 / 2], [duration_s**2 / 2, duration_s]],
    )
    for x in (104.0, 109.0, 111.0):
        state, covariance = pass_ @ state, pass_ @ covariance @ pass_.T + added
        gain = covariance[:, 0] / (covariance[0, 0] + noise)
        state, covariance = state + gain * (x - state[0]), covariance - np.outer(gain, covariance[0])
        estimate.predict(duration_s)
        estimate.correct(FIRST, boxes((x, 50, side, 20)))
        assert estimate.position[0, 0] == pytest.approx(state[0])
        assert estimate.velocity[0, 0] == pytest.approx(state[1])
        assert estimate.position_variance[0, 0] == pytest.approx(covariance[0, 0])
        assert estimate.covariance[0, 0] == pytest.approx(covariance[0, 1])
        assert estimate.velocity_variance[0, 0] == pytest.approx(covariance[1, 1])


def test_frames_may_come_at_any_rate() -> None:
    """Something that moves evenly is expected where it will be, whatever the pauses."""
    rng = np.random.default_rng(3)
    estimate = BoxMotion.start(boxes((0, 200, 40, 60)))
    time_s = 0.0
    for duration_s in rng.uniform(0.01, 0.2, 40):
        time_s += duration_s
        estimate.predict(duration_s)
        estimate.correct(FIRST, boxes((120 * time_s, 200 - 30 * time_s, 40, 60)))
    assert estimate.velocity[0] == pytest.approx([120, -30, 0, 0], abs=1.0)
    estimate.predict(0.5)
    time_s += 0.5
    expected = boxes((120 * time_s, 200 - 30 * time_s, 40, 60))
    assert estimate.boxes() == pytest.approx(expected, abs=1.0)


def test_two_short_waits_are_one_long_one() -> None:
    one, two = (BoxMotion.start(boxes((10, 20, 30, 40))) for _ in range(2))
    one.velocity[:] = two.velocity[:] = (50, -20, 0, 0)
    one.predict(0.3)
    two.predict(0.1)
    two.predict(0.2)
    for name in ("position", "position_variance", "covariance", "velocity_variance"):
        assert getattr(one, name) == pytest.approx(getattr(two, name))


def test_it_becomes_surer_by_seeing_and_less_sure_by_waiting() -> None:
    estimate = BoxMotion.start(boxes((10, 20, 30, 40)))
    at_first = estimate.position_variance.copy()
    estimate.predict(0.1)
    assert np.all(estimate.position_variance > at_first)
    estimate.correct(FIRST, boxes((12, 20, 30, 40)))
    assert np.all(estimate.position_variance < at_first)


def test_some_are_corrected_kept_and_appended() -> None:
    estimate = BoxMotion.start(boxes((10, 10, 4, 4), (20, 20, 4, 4)))
    estimate.correct(np.array([1]), boxes((22, 20, 4, 4)))
    assert estimate.position[0, 0] == 10
    assert 20 < estimate.position[1, 0] < 22
    estimate.keep(np.array([False, True]))
    estimate.extend(BoxMotion.start(boxes((30, 30, 4, 4))))
    assert estimate.position[:, 1].tolist() == [20, 30]
    assert estimate.boxes()[1].tolist() == [28, 28, 32, 32]
