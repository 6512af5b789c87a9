# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of `lowlat dash` counts, and how it asks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from lowlat_nodes.benchmarks.dash import Client, Trial, _percent, _tree, summarise
from lowlat_nodes.cli.dash.assets import read_assets
from lowlat_nodes.cli.dash.feed import Feed
from lowlat_nodes.cli.dash.server import DashServer

WORKS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""


def test_the_time_of_a_process_is_that_of_its_children_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert list(_tree(process.pid)) == [process.pid, child]
        nodes, dash = _percent([process.pid], 0.5)
        assert nodes > 0.0 == dash
        nodes, dash = _percent([], 0.5, child)
        assert dash > 0.0 == nodes
        process.communicate("")


def test_the_client_reads_snapshots_and_each_new_picture(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("")
    feed, asked = Feed(), []

    def picture(index: int) -> SimpleNamespace:
        asked.append(index)
        return SimpleNamespace(data=b"picture")

    server = DashServer(
        "127.0.0.1", 0, "", assets=read_assets(tmp_path), feed=feed, history=bytes, picture=picture
    )
    server.start()
    with contextlib.closing(server), contextlib.closing(Client(server.port)) as client:
        for number, sequence in enumerate((0, 1, 1, 2)):
            nodes = [{"name": f"/arm_{number}"}]
            snapshot = {"nodes": nodes, "cameras": [{"index": 3, "sequence": sequence}]}
            deadline_s = time.monotonic() + 60.0
            while client.names != {f"/arm_{number}"}:
                assert time.monotonic() < deadline_s
                feed.publish(json.dumps(snapshot).encode())
                time.sleep(0.05)
    assert asked == [3, 3]
    assert client.pictures == 2
    assert client.snapshots >= 4
    assert client.snapshot_bytes > 0


def test_a_way_is_summed_up_by_medians() -> None:
    found = summarise([Trial(10.0, 1.0, 90.0), Trial(30.0, 3.0, 92.0), Trial(20.0, 2.0, 91.0)])
    assert (found["nodes_percent"], found["dash_percent"], found["dash_mb"]) == (20.0, 2.0, 91.0)
