# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A copy of examples/ for each test, its package installed, and a plain node as the rest of the robot."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from workplace import PATIENCE_S, Workplace


class Robot:
    """A plain rclpy node as the rest of the robot."""

    def __init__(self) -> None:
        import rclpy

        self.node: Any = rclpy.create_node("robot")
        self._spin_once = rclpy.spin_once

    def until(self, condition: Callable[[], Any], again: Callable[[], Any] = lambda: None) -> None:
        """Spin until something happened, and do something again and again until then."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            again()
            self._spin_once(self.node, timeout_sec=0.05)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, {})


@pytest.fixture
def robot(ros_domain_id: int) -> Iterator[Robot]:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = Robot()
    yield made
    made.node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def equipped(workplace: Workplace, installed: Path) -> Workplace:
    """The workplace, with the package of examples/own_processor installed."""
    workplace.on_path(str(installed))
    return workplace


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the package of examples/own_processor."""
    folder = tmp_path_factory.mktemp("own_processor")
    workplace = Workplace(folder, {})
    command = workplace.documented("own_processor/README.md", "pip install")
    offline = ("--quiet", "--no-build-isolation", "--target", str(folder / "site"))
    run = workplace.run([sys.executable, "-m", *command], *offline)
    assert run.returncode == 0, run.stderr
    return folder / "site"
