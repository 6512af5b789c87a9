# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A child that ends, refuses or hangs is replaced, and says why there is none meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.nodes.kept_process import KeptProcess
from lowlat_nodes.nodes.policy.messages import pack
from lowlat_nodes.stream.errors import ConfigurationError

LOAD_TIMEOUT_S = 20.0  # what starting an interpreter takes on a busy machine


@pytest.fixture
def orders() -> list[str]:
    """What the next children do, the last one for good."""
    return ["work"]


@pytest.fixture
def keep(orders: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., KeptProcess]]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    kept: list[KeptProcess] = []

    def make(load_timeout_s: float = LOAD_TIMEOUT_S) -> KeptProcess:
        def set_up(channel: Any) -> None:
            channel.send(pack("setup", order=orders.pop(0) if len(orders) > 1 else orders[0]))

        kept.append(KeptProcess("kept_child", "the child", set_up, load_timeout_s=load_timeout_s))
        return kept[-1]

    yield make
    for process in kept:
        process.close()
        process.end(10.0)


def watch_until(process: KeptProcess, condition: Callable[[dict[str, Any] | None], Any]) -> None:
    deadline_s = time.monotonic() + 60.0
    while not condition(process.watch()):
        assert time.monotonic() < deadline_s, f"it did not happen; {process.problem}"
        time.sleep(0.01)


def test_a_child_says_when_it_is_ready(keep: Callable[..., KeptProcess]) -> None:
    process = keep()
    assert process.await_first(None) == {"answer": 42}
    assert (process.problem, process.restarts) == ("", 0)


@pytest.mark.parametrize(
    ("order", "reason"),
    [("refuse", "no such model"), ("die", "the child ended while starting; its output says why")],
)
def test_a_first_child_that_does_not_work_is_an_error(
    keep: Callable[..., KeptProcess], orders: list[str], order: str, reason: str
) -> None:
    orders[:] = [order]
    with pytest.raises(ConfigurationError, match=reason):
        keep().await_first(None)


def test_a_first_child_that_hangs_is_an_error(keep: Callable[..., KeptProcess], orders: list[str]) -> None:
    orders[:] = ["hang"]
    process = keep(0.2)
    with pytest.raises(ConfigurationError, match=r"the child was not ready within 0\.2 s"):
        process.await_first(None)
    process.replace("enough")


@pytest.mark.parametrize("order", ["die", "refuse"])
def test_one_that_fails_later_is_started_again_and_again(
    keep: Callable[..., KeptProcess], orders: list[str], order: str
) -> None:
    orders[:] = ["work", order, order, "work"]
    process = keep()
    process.await_first(None)
    process.replace("it gave no answer")
    assert process.problem == "it gave no answer"
    watch_until(process, lambda ready: process.restarts == 2)
    assert process.problem
    watch_until(process, lambda ready: ready == {"answer": 42})
    assert (process.problem, process.restarts) == ("", 3)


def test_one_that_hangs_while_it_loads_is_replaced(
    keep: Callable[..., KeptProcess], orders: list[str]
) -> None:
    orders[:] = ["work", "hang", "work"]
    process = keep(LOAD_TIMEOUT_S / 4)
    process.await_first(None)
    process.replace("it gave no answer")
    watch_until(process, lambda ready: "the child was not ready within 5 s" in process.problem)
    watch_until(process, lambda ready: ready is not None)
    assert process.restarts >= 2
