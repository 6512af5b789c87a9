# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat dash` beside a node of a real ROS graph, as a browser sees it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lowlat_nodes.benchmarks._chromium import Chromium, installed

pytestmark = [
    pytest.mark.ros,
    pytest.mark.remote,
    pytest.mark.skipif(installed() is None, reason="no Chromium is installed"),
]

CAMERA = ["rate_hz:=10.0", "width_px:=64", "height_px:=48", "shapes:=1", "autostart:=true"]
PATIENCE_S = 120.0


@contextmanager
def running(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


def camera() -> list[str]:
    return ["--ros-args", *(word for value in CAMERA for word in ("-p", value))]


def test_a_node_ends_and_starts_again_in_the_same_card() -> None:
    level = "document.querySelector('.node')?.dataset.level"
    with Chromium() as browser, running("lowlat_nodes.cli.main", "dash", "--port", "0") as dash:
        assert dash.stdout is not None
        address = re.search(r"http://\S+", dash.stdout.readline())
        assert address is not None
        browser.open(address.group())
        browser.wait("document.body?.dataset.link === 'live'", within_s=PATIENCE_S)
        assert not browser.evaluate("document.getElementById('nothing').hidden")
        with running("lowlat_nodes.nodes.shapes_camera_node", *camera()):
            browser.wait(f"{level} === 'ok'", within_s=PATIENCE_S)
            browser.evaluate("document.querySelector('.node').kept = true, 0")
            rate = "Number.parseFloat(document.querySelector('.rate .value').textContent)"
            browser.wait(f"{rate} > 0", within_s=PATIENCE_S)
            picture = "document.querySelector('canvas[role=img]')?.getContext('2d')"
            browser.wait(f"{picture}?.getImageData(9, 9, 1, 1).data[3]", within_s=PATIENCE_S)
            before = browser.evaluate("document.getElementById('time').textContent")
            browser.wait(f"document.getElementById('time').textContent > {before!r}", within_s=PATIENCE_S)
        browser.wait(f"{level} === 'gone'", within_s=PATIENCE_S)
        with running("lowlat_nodes.nodes.shapes_camera_node", *camera()):
            browser.wait(f"{level} === 'ok'", within_s=PATIENCE_S)
            assert browser.evaluate("document.querySelector('.node').kept")
            assert browser.evaluate("document.querySelectorAll('.node').length") == 1
        assert not browser.errors
        assert len(browser.origins) == 1
