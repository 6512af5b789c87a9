# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import select
from contextlib import closing

from lowlat_nodes.transport.zmq.doorbell import Doorbell


def test_who_polls_wakes_once_it_was_rung_and_sleeps_on_when_it_has_answered() -> None:
    with closing(Doorbell()) as bell:
        assert not select.select([bell], [], [], 0.0)[0]
        bell.ring()
        bell.ring()
        assert select.select([bell], [], [], 0.0)[0] == [bell]
        bell.answer()
        assert not select.select([bell], [], [], 0.0)[0]
        bell.answer()  # without a ring it does not wait


def test_ringing_never_waits_nor_fails() -> None:
    bell = Doorbell()
    for _ in range(100_000):  # more than the sockets hold
        bell.ring()
    assert select.select([bell], [], [], 0.0)[0] == [bell]
    bell.close()
    bell.ring()
