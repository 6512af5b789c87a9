# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells of its energy: counts for a sampler, figures from it, and a budget."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from amplifier_node import AmplifierNode
from diagnostic_msgs.msg import DiagnosticArray
from pages import counted, pages
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.budget import Leeway, Order
from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, NodeFigures
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.stream.meter import Kind

pytestmark = pytest.mark.ros

NAME = "/amplifier"
STATE = JointState(name=["a", "b"], position=[1.0, 2.0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An energy folder that this test has for itself."""
    made = tmp_path / "energy_of_this_test"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(made))
    return made


class Obedient(AmplifierNode):
    """Notes what it is told to do."""

    def __init__(self, **ros: Any) -> None:
        self.orders: list[Order] = []
        super().__init__(**ros)

    def leeway(self) -> Leeway:
        return Leeway(floor_hz=1.0)

    def obey(self, order: Order) -> None:
        self.orders.append(order)


def node(robot: Any, **values: Any) -> Obedient:
    values = {"diagnostic_updater.period": 0.1} | values
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    made: Obedient = robot.add(Obedient(overrides=overrides))
    return made


def figures(watts: float = 4.0, joules: float = 0.4, name: str = NAME) -> Figures:
    meter = MeterFigures(
        "rapl/package-0", "cpu", ("cpu",), "", "simulated", Kind.MEASURED, 0.001, 6e-5, 20.0, 200.0, 10.0,
        100.0, 40.0, 60.0, 0.0, 0.0,
    )  # fmt: skip
    cost = Cost(meter.name, "", joules, 0.02, "regression")
    used = NodeFigures(
        name, "result", 100, 10.0, 5.0, math.nan, {meter.name: watts}, {meter.name: 40.0}, (cost,)
    )
    return Figures("host", time.time_ns(), time.monotonic_ns(), 1.0, (meter,), (), (used,))


def listen(robot: Any, topic: str) -> list[Any]:
    """Return a list that fills with the statuses of a topic, their values as a dictionary."""
    heard: list[Any] = []

    def hear(message: DiagnosticArray) -> None:
        heard.extend(
            (each.name, Level(each.level[0]), each.message, {item.key: item.value for item in each.values})
            for each in message.status
        )

    robot.outside.create_subscription(DiagnosticArray, topic, hear, 10)
    return heard


def test_without_a_sampler_it_says_so_and_works(robot: Any, folder: Path) -> None:
    made = node(robot)
    assert made.start(), made.problem
    energy, reports = listen(robot, "/amplifier/energy"), listen(robot, "/diagnostics")

    def told() -> list[dict[str, str]]:
        return [values for *_, values in reports if "energyd" in values.get("energy.why", "")]

    robot.spin_until(lambda: energy and told())
    _, level, summary, values = energy[0]
    assert level is Level.OK
    assert "energyd" in summary
    assert values["kind"] == "unavailable"
    values = told()[0]
    assert (values["energy.kind"], values["energy.j_per_result"]) == ("unavailable", "nan")


def test_figures_of_the_sampler_come_out_and_say_what_is_fake(robot: Any, folder: Path) -> None:
    made = node(robot)
    assert made.start(), made.problem
    energy, reports = listen(robot, "/amplifier/energy"), listen(robot, "/diagnostics")
    board = Board(folder)

    def told() -> bool:
        board.publish(figures())
        return any(values["kind"] == "measured" for *_, values in energy) and any(
            values.get("energy.kind") == "measured" for *_, values in reports
        )

    robot.spin_until(told)
    name, level, summary, values = energy[-1]
    assert (name, level) == ("amplifier: energy rapl/package-0", Level.OK)
    assert summary == "measured 4 W, 0.4 J per result (fake: simulated)"
    expected = {
        "kind": "measured",
        "unit": "result",
        "results": "100",
        "rate_hz": "10",
        "watts": "4",
        "joules": "40",
        "joules_per_result": "0.4",
        "error": "0.02",
        "method": "regression",
        "fake": "simulated",
    }
    assert values.items() >= expected.items()
    values = next(values for *_, values in reports if values.get("energy.kind") == "measured")
    assert (values["energy.j_per_result"], values["energy.unit"]) == ("0.4", "result")
    assert values["energy.fake"] == "simulated"


def test_it_forgets_the_figures_of_a_sampler_that_has_ended(robot: Any, folder: Path) -> None:
    made = node(robot)
    assert made.start(), made.problem
    board = Board(folder)
    board.publish(figures())
    robot.spin_until(lambda: made.energy.headline.kind is Kind.MEASURED)
    board.withdraw()
    robot.spin_until(lambda: made.energy.headline.kind is Kind.UNAVAILABLE)
    board.publish(figures())
    robot.spin_until(lambda: made.energy.headline.kind is Kind.MEASURED)


def test_a_board_full_of_garbage_harms_nobody(robot: Any, folder: Path) -> None:
    board = Board(folder)
    board.publish(figures())
    [file] = [path for path in folder.iterdir() if path.is_file()]
    file.write_bytes(os.urandom(1000))
    made = node(robot)
    assert made.start(), made.problem
    robot.spin_until(lambda: file.name in made.energy.headline.why)
    assert made.energy.headline.kind is Kind.UNAVAILABLE


def test_a_folder_that_cannot_be_had_is_said_and_the_node_works(
    robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path / "not" / "there"))
    made = node(robot)
    assert made.start(), made.problem
    assert "not counted" in made.energy.headline.why
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    results = robot.listen(Float64MultiArray, "/amplifier/amplified")
    robot.publish_until(publisher, STATE, lambda: results)


def test_what_fails_has_begun_and_is_no_result(robot: Any, folder: Path) -> None:
    made = node(robot)
    assert made.start(), made.problem
    results = robot.listen(Float64MultiArray, "/amplifier/amplified")
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(publisher, STATE, lambda: results)
    broken = JointState(name=["a"], position=[math.nan])
    robot.publish_until(publisher, broken, lambda: made._pipeline.stats().failures)
    stats = made._pipeline.stats()
    made.trigger_deactivate()
    started, finished = counted(folder, NAME)[""]
    assert finished == stats.published
    assert started >= finished + sum(stats.failures.values())


def test_disabled_it_makes_no_page_and_no_topic(robot: Any, folder: Path) -> None:
    made = node(robot, **{"energy.enabled": False})
    assert made.start(), made.problem
    assert not pages(folder)
    assert not made.count_publishers("/amplifier/energy")
    reports = listen(robot, "/diagnostics")
    robot.spin_until(lambda: reports)
    assert not [key for key in reports[0][3] if key.startswith("energy.")]


def test_the_page_is_there_from_configure_to_cleanup(robot: Any, folder: Path) -> None:
    made = node(robot)
    assert not pages(folder)
    made.trigger_configure()
    assert len(pages(folder)) == 1
    made.trigger_cleanup()
    assert not pages(folder)
    assert made.start(), made.problem
    assert len(pages(folder)) == 1


def test_a_budget_that_is_broken_is_a_warning_and_an_order(robot: Any, folder: Path) -> None:
    made = node(robot, **{"energy.budget.w": 2.0})
    assert made.start(), made.problem
    board = Board(folder)
    energy, reports = listen(robot, "/amplifier/energy"), listen(robot, "/diagnostics")

    def ordered() -> bool:
        board.publish(figures(watts=4.0))
        return bool(made.orders) and any(level is Level.WARN for _, level, *_ in energy)

    robot.spin_until(ordered)
    assert made.orders[-1].max_hz < 10.0
    warning = next(values for _, level, _, values in energy if level is Level.WARN)
    assert "W" in warning["budget"]
    robot.spin_until(lambda: any("of 2 W" in values.get("energy.budget", "") for *_, values in reports))


def test_a_budget_changes_while_the_node_works(robot: Any, folder: Path) -> None:
    made = node(robot)
    assert made.start(), made.problem
    board = Board(folder)

    def published() -> Order:
        board.publish(figures(watts=4.0))
        return made.energy.order

    robot.spin_until(lambda: published() == Order() and made.energy.headline.kind is Kind.MEASURED)
    made.set_parameters([Parameter("energy.budget.w", value=2.0)])
    robot.spin_until(lambda: published().level)
    made.set_parameters([Parameter("energy.budget.w", value=0.0)])
    robot.spin_until(lambda: published() == Order())


def test_counting_never_raises_whenever_it_comes(robot: Any, folder: Path) -> None:
    made = node(robot)
    made.energy.begin()
    made.energy.done()
    made.trigger_configure()
    failures: list[BaseException] = []
    stop = threading.Event()

    def count() -> None:
        try:
            while not stop.is_set():
                made.energy.begin("640x640")
                made.energy.done(2, "640x640")
                made.energy.cpu(1000)
        except BaseException as error:
            failures.append(error)

    counting = threading.Thread(target=count)
    counting.start()
    for _ in range(5):
        made.trigger_cleanup()
        made.trigger_configure()
    stop.set()
    counting.join()
    assert not failures
