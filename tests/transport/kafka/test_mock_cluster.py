# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The cluster in a process of its own has the topics that were asked for, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowlat_nodes.transport.kafka.mock_cluster import running

confluent_kafka = pytest.importorskip("confluent_kafka")

pytestmark = pytest.mark.alerts

PATIENCE_S = 30.0


def test_topics_have_the_partitions_that_were_asked_for() -> None:
    with running({"one": 1, "eight": 8}, brokers=2) as mock:
        client = confluent_kafka.Consumer({"bootstrap.servers": mock.bootstrap, "group.id": "g"})
        found = client.list_topics(timeout=PATIENCE_S)
        client.close()
    assert {name: len(topic.partitions) for name, topic in found.topics.items()} == {"one": 1, "eight": 8}
    assert len(found.brokers) == 2


def test_it_ends_with_a_parent_that_is_killed() -> None:
    program = (
        "import os, time\n"
        "from pathlib import Path\n"
        "from lowlat_nodes.transport.kafka.mock_cluster import running\n"
        "with running({}):\n"
        "    print(Path(f'/proc/self/task/{os.getpid()}/children').read_text(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
