# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A connection that libzmq has given up is made anew."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from speaker import PATIENCE_S, speaking

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.zmq.subscriber import Subscriber


def test_a_subscriber_outlives_a_frame_that_is_too_large() -> None:
    heard: list[Message] = []
    with speaking(epoch=1) as speaker:
        subscriber = Subscriber(speaker.endpoint, {"a": "a"}, clock=ManualClock(), max_bytes=1000)
        subscriber.start(heard.append)
        try:
            speaker.wait_for_listener("a")
            speaker.say("a", np.zeros(1000))
            speaker.wait_for_listener("a")
            speaker.say("a", np.zeros(3))
            deadline = time.monotonic() + PATIENCE_S
            while not heard:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert subscriber.link.stands
            assert subscriber.link.broken == 1
        finally:
            subscriber.stop()
    assert heard[0].payload.shape == (3,)
