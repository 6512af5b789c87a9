# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When a message was sent, by the clock of who takes it."""

from __future__ import annotations

import time

from lowlat_nodes.transport.ros.polled import Taken

_LONGEST_NS = 10_000_000_000  # beyond that the clocks of two hosts differ, and nothing is known


def sent_ns(taken: Taken, now_ns: int) -> int:
    """Return when a message was sent, in the steady time of this host.

    Args:
        taken: Just now.
        now_ns: The present steady time.
    """
    age_ns = time.time_ns() - taken.sent_ns
    return now_ns - age_ns if taken.sent_ns and 0 < age_ns < _LONGEST_NS else now_ns
