# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ways to run the policy that a demo can compare."""

from __future__ import annotations

import pytest

from lowlat_nodes import resources
from lowlat_nodes.cli.demo import ways
from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.strategies.make import STRATEGIES
from lowlat_nodes.nodes.parameter_file import parameters_of, read
from lowlat_nodes.stream.config import build, flatten, settings


def test_every_strategy_is_a_way_and_no_preset_hides_one() -> None:
    assert set(STRATEGIES) < set(ways.NAMES)
    assert set(ways.COMPARED) <= set(ways.NAMES)
    assert len(set(ways.NAMES)) == len(ways.NAMES)
    assert ways.parameters("rtc") == {"execution.strategy": "rtc"}


@pytest.mark.parametrize("name", ways.PRESETS)
def test_a_preset_is_made_of_parameters_of_the_policy_node(name: str) -> None:
    file = resources.path("config", "demo.yaml")
    demo = flatten(parameters_of("/policy_node", read(file)))
    known = {item.name for item in settings(ControlConfig, demo)}

    assert set(ways.parameters(name)) <= known
    assert build(ControlConfig, demo | ways.parameters(name))


def test_every_way_has_words_and_a_colour() -> None:
    colours = [ways.colour(name) for name in ways.NAMES]

    assert all(ways.meaning(name) for name in ways.NAMES)
    assert len(set(colours[:8])) == 8
    assert "vlash" not in ways.meaning("a_strategy_of_tomorrow")
