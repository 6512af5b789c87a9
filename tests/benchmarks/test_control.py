# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How the control benchmark counts stalls, and whom it blames."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.benchmarks._control_policies import HORIZON, JOINTS, BusyPolicy
from lowlat_nodes.benchmarks._control_robot import Account, realtime_offset_ns
from lowlat_nodes.benchmarks.control import TICK_NS, attribute
from lowlat_nodes.control.policies.policy import Observation
from lowlat_nodes.nodes.bag.timeline import PHASE_NS

MS = 1_000_000


def sent(*commands: tuple[float, int]) -> Account:
    """Return the account of commands at periods after the first deadline, with their numbers."""
    account = Account(TICK_NS)
    for periods, number in commands:
        account.add(100 * TICK_NS + PHASE_NS + round(periods * TICK_NS), number)
    return account


@pytest.mark.parametrize(
    ("commands", "stalls", "lost"),
    [
        ([(0.1, 1), (1.1, 2), (2.1, 3)], 0, 0),
        ([(0.9, 1), (1.1, 2), (2.9, 3)], 0, 0),  # late, but within the period
        ([(0.1, 1), (2.1, 2), (3.1, 3)], 1, 0),
        ([(0.1, 1), (4.5, 2)], 3, 0),
        ([(0.1, 1), (1.95, 2), (2.0, 3)], 0, 0),
        ([(0.1, 1), (0.2, 2), (2.3, 3)], 1, 0),
        ([(0.1, 1), (2.1, 3)], 0, 1),  # sent in time, but it did not arrive
        ([(0.1, 1), (4.1, 3)], 2, 1),
    ],
)
def test_a_deadline_without_a_command_within_a_period_is_a_stall(
    commands: list[tuple[float, int]], stalls: int, lost: int
) -> None:
    account = sent(*commands)
    assert sum(missed for missed, _, _ in account.stalls) == stalls
    assert account.lost == lost
    assert account.commands == len(commands)


@pytest.mark.parametrize(
    ("stood_still", "of_machine", "of_all_cores"),
    [
        ([], 0, 0),
        ([[], []], 0, 0),
        ([[(20 * MS, 40 * MS)], []], 0, 0),
        ([[(11 * MS, 13 * MS)], []], 1, 0),
        ([[(8 * MS + 1, 9 * MS)], []], 1, 0),  # the tick before was held up
        ([[(11 * MS, 12 * MS)], [(12 * MS, 13 * MS)]], 1, 0),  # one after the other
        ([[(11 * MS, 13 * MS)], [(12 * MS, 14 * MS)]], 1, 1),
        ([[(0, 60 * MS)], [(51 * MS, 60 * MS)]], 4, 3),
        ([[(0, 60 * MS)]], 4, 4),
    ],
)
def test_a_stall_is_the_machines_if_cores_stood_still_meanwhile(
    stood_still: list[list[tuple[int, int]]], of_machine: int, of_all_cores: int
) -> None:
    stalls = [(1, 10 * MS, 14 * MS), (3, 50 * MS, 58 * MS)]
    assert attribute(stalls, stood_still) == {
        "stalls": 4,
        "stalls_of_machine": of_machine,
        "stalls_of_all_cores": of_all_cores,
    }


def test_the_two_clocks_are_read_together() -> None:
    assert abs(realtime_offset_ns() - realtime_offset_ns()) < 1_000_000_000


def test_the_busy_policy_leads_to_both_sides() -> None:
    worked = []
    policy = BusyPolicy(lambda: worked.append(1))
    state = np.zeros(len(JOINTS), np.float32)
    ends = [policy.infer(Observation(state, request=request))[-1, 0] for request in (0, 8)]
    assert worked
    assert ends[0] < -0.1 < 0.1 < ends[1]
    assert policy.infer(Observation(state)).shape == (HORIZON, len(JOINTS))
