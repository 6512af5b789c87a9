# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of `lowlat energy show`."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from energy_host import host, meter, node

from lowlat_nodes.cli.energy_table import reasons, split, tables
from lowlat_nodes.energy.figures import Cost
from lowlat_nodes.stream.meter import Kind


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_parts_of_a_meter_are_its_power() -> None:
    figures = host()
    parts = split(figures, figures.meters[0])
    assert (parts.idle_w, parts.nodes_w, parts.unattributed_w) == (20.0, 6.0, 4.0)


def test_a_window_below_the_idle_power_is_idle_and_nothing_is_negative() -> None:
    figures = host(meters=(meter(watts=18.0),))
    parts = split(figures, figures.meters[0])
    assert (parts.idle_w, parts.nodes_w, parts.unattributed_w) == (18.0, 6.0, 0.0)


def test_idle_power_that_is_not_known_is_unattributed() -> None:
    figures = host(meters=(meter(idle_w=math.nan),))
    parts = split(figures, figures.meters[0])
    assert math.isnan(parts.idle_w)
    assert parts.unattributed_w == 24.0


def test_a_meter_has_a_line_and_a_node_one_for_each_meter() -> None:
    costs = (
        Cost("rapl/package-0", "640x640", 0.5, 0.0213, "regression"),
        Cost("rapl/package-0", "320x320", 0.125, 0.0, "share", "rates do not vary"),
    )
    lines = tables(host(nodes=(node("/detector_node", *costs),)), 160)
    assert lines[0] == "energy of robot1"
    assert cells(lines[3]) == ["rapl/package-0", "cpu", "measured", "30.0", "20.0", "6.00", "4.00", "1.50"]
    first, second = lines[6:8]
    assert cells(first) == [
        "/detector_node", "12.0", "rapl/package-0", "6.00",
        "detection 640x640", "0.500", "0.0213", "regression",
    ]  # fmt: skip
    assert cells(second) == ["rapl/package-0", "6.00", "detection 320x320", "0.125", "-", "share ?"]
    assert "? /detector_node 320x320: rates do not vary" in lines


def test_fakes_are_called_so_in_the_title_and_in_the_table() -> None:
    lines = tables(host(meters=(meter(fake="fake sysfs at /a/tree"),)), 160)
    assert "FAKE METERS: fake sysfs at /a/tree" in lines[0]
    assert "measured, FAKE" in lines[3]


def test_a_meter_that_is_away_has_no_power() -> None:
    figures = host(
        meters=(meter(kind=Kind.UNAVAILABLE, watts=math.nan, idle_w=math.nan, why="chgrp energy it"),)
    )
    assert cells(tables(figures, 160)[3]) == [
        "rapl/package-0", "cpu", "unavailable", "-", "-", "-", "-", "1.50",
    ]  # fmt: skip
    assert reasons(figures) == ["rapl/package-0: chgrp energy it", "nvml: no driver: install one"]


def test_a_host_without_meters_and_nodes_says_what_to_do() -> None:
    text = "\n".join(tables(host(meters=(), nodes=()), 200))
    assert "no meter counts here; looked for: nvml; --why" in text
    assert "no node counts its results here; start one" in text


def test_a_node_without_a_cost_or_a_meter_still_has_its_rate() -> None:
    bare = node("/n")
    assert cells(tables(host(nodes=(bare,)), 160)[6]) == [
        "/n", "12.0", "rapl/package-0", "6.00", "detection", "-", "-",
    ]  # fmt: skip
    unmetered = replace(bare, watts={})
    assert cells(tables(host(nodes=(unmetered,)), 160)[6]) == [
        "/n", "12.0", "no meter", "-", "detection", "-", "-",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, tables(host(), width))) <= width


def test_names_from_outside_do_not_command_the_terminal() -> None:
    text = "\n".join(tables(host(host="a\x1b[2J", nodes=(node("/n\x1b[2J\n"),)), 160))
    assert "\x1b" not in text
