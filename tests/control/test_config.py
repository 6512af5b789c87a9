# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of policy execution that are each right but do not fit each other."""

from __future__ import annotations

import pytest

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

JOINTS = {"observation.joints.names": ["a"]}


def test_a_state_of_the_past_is_refused_where_the_strategy_shows_that_of_the_future() -> None:
    with pytest.raises(ConfigurationError, match=r"observation\.align: image.*expected newest, or another"):
        build(ControlConfig, {**JOINTS, "observation.align": "image"})
    for strategy in ("sync", "naive_async"):
        build(ControlConfig, {**JOINTS, "observation.align": "image", "execution.strategy": strategy})
