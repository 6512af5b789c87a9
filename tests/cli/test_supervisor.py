# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When a crashed program is started again, and when it is given up; test_up.py has the processes."""

from __future__ import annotations

from lowlat_nodes.cli.supervisor import Backoff, RestartPolicy


def test_back_off_doubles_up_to_a_bound_and_forgets() -> None:
    backoff = Backoff(RestartPolicy(limit=3, window_s=60.0, first_delay_s=4.0, longest_delay_s=10.0))
    assert [backoff.crashed(now) for now in (0.0, 10.0, 20.0)] == [4.0, 8.0, 10.0]
    assert backoff.crashed(70.5) == 8.0, "the first two are out of the window"
    assert backoff.crashed(200.0) == 4.0
    assert [backoff.crashed(now) for now in (201.0, 202.0, 203.0)] == [8.0, 10.0, None]


def test_without_restarts_the_first_crash_is_the_last() -> None:
    assert Backoff(RestartPolicy(limit=0)).crashed(0.0) is None
