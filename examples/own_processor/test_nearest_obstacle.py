# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A unit test of our processor: no ROS, no node, no thread. `python3 -m pytest test_nearest_obstacle.py`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from nearest_obstacle.processor import make_nearest_obstacle

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message


def scan(*ranges: float) -> Message:
    """Return a scan from -1 to 1 rad."""
    fields = {
        "angle_min": -1.0,
        "angle_increment": 2.0 / (len(ranges) - 1),
        "range_min": 0.1,
        "range_max": 30.0,
    }
    return Message("scan", SimpleNamespace(ranges=np.array(ranges, np.float32), **fields))


def test_the_nearest_obstacle_is_found() -> None:
    (result,) = make_nearest_obstacle({}).process(scan(3.0, 2.0, 4.0))
    assert result.topic == "~/nearest"
    assert result.payload.tolist() == [2.0, 0.0]


def test_what_is_too_near_too_far_or_aside_does_not_count() -> None:
    processor = make_nearest_obstacle({"max_range_m": 5.0, "half_angle": 0.5})
    (result,) = processor.process(scan(1.0, 0.01, 7.0, float("nan"), 1.0))
    assert result.payload.tolist() == [np.inf, 0.0]


def test_a_typo_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'half_angle'"):
        make_nearest_obstacle({"half_angel": 1.0})
