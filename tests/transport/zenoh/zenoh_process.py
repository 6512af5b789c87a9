# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A program for tests: publishes numbers over Zenoh until it is killed.

Arguments: the ENDPOINT to listen at, and the PREFIX.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.zenoh.publisher import ZenohPublisher
from lowlat_nodes.transport.zenoh.session import ZenohSettings, open_session


def main() -> None:
    endpoint, prefix = sys.argv[1:]
    publisher = ZenohPublisher(
        open_session(ZenohSettings(listen=(endpoint,))), prefix, {"numbers": "numbers"}
    )
    for number in range(sys.maxsize):
        publisher.write(Message("numbers", np.array([number])))
        publisher.beat(Heartbeat("/process", "running", number, 1, 250_000_000))
        time.sleep(0.02)


if __name__ == "__main__":
    main()
