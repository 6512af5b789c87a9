# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The energy node over real rclpy, on a fake processor of 30 W, beside other nodes and other samplers."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from amplifier_node import AmplifierNode
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import BatteryState, JointState

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import SamplerLock
from lowlat_nodes.energy.plain import from_plain
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.nodes.energy_node import EnergyNode
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.transport.zmq.subscriber import Subscriber

pytestmark = pytest.mark.ros

METER = "rapl/package-0"
FAKE_W = 30.0
STATE = JointState(name=["a", "b"], position=[1.0, 2.0])

Status = tuple[Level, str, dict[str, str]]


class Host:
    """An energy folder, and a fake sysfs with one package whose counter moves when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "energy_of_this_test"
        self.folder.mkdir(mode=0o700)
        self.sysfs = folder / "sys"
        zone = self.sysfs / "class/powercap/intel-rapl:0"
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
        self._counter = zone / "energy_uj"
        self._begin_s = time.monotonic()
        self._counter.write_text("100000000000\n")

    def move(self) -> None:
        """Count 30 W since the start; in place, as a reader must not find the file empty."""
        counted_uj = round((time.monotonic() - self._begin_s) * FAKE_W * 1e6)
        with self._counter.open("r+b") as file:
            file.write(f"{100_000_000_000 + counted_uj}\n".encode())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(made.folder))
    monkeypatch.setenv("LOWLAT_SYSFS_ROOT", str(made.sysfs))
    return made


def node(robot: Any, **values: Any) -> EnergyNode:
    values = {"diagnostic_updater.period": 0.1} | values
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    made: EnergyNode = robot.add(EnergyNode(overrides=overrides))
    return made


def listen(robot: Any, topic: str) -> dict[str, Status]:
    """Return a dictionary that has the newest status of a topic by its name."""
    newest: dict[str, Status] = {}

    def hear(message: DiagnosticArray) -> None:
        for each in message.status:
            values = {item.key: item.value for item in each.values}
            newest[each.name] = Level(each.level[0]), each.message, values

    robot.outside.create_subscription(DiagnosticArray, topic, hear, 10)
    return newest


def moving(host: Host, condition: Any) -> Any:
    """Return a condition that has the counter move whenever it is asked."""

    def asked() -> bool:
        host.move()
        return bool(condition())

    return asked


def lock_is_free(host: Host) -> bool:
    try:
        SamplerLock(host.folder, "test").close()
    except Exception:
        return False
    return True


@pytest.fixture
def energyd(host: Host) -> Iterator[subprocess.Popen[str]]:
    """A running `lowlat energyd`."""
    with subprocess.Popen(
        [sys.executable, "-m", "lowlat_nodes.cli.main", "energyd"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert "samples" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_it_says_where_energy_went_and_that_the_meter_is_a_fake(robot: Any, host: Host) -> None:
    energy = listen(robot, "/energy_node/energy")
    amplifier, made = robot.add(AmplifierNode()), node(robot)
    assert amplifier.start(), amplifier.problem
    assert made.start(), made.problem
    own = listen(robot, "/amplifier/energy")
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)

    def known() -> bool:
        host.move()
        found = energy.get("energy_node: /amplifier", (None, "", {}))[2]
        mine = own.get(f"amplifier: energy {METER}", (None, "", {}))[2]
        return found.get("kind") == mine.get("kind") == "measured" and int(mine["results"]) > 0

    robot.publish_until(publisher, STATE, known)
    level, summary, values = energy[f"energy_node: {METER}"]
    assert level is Level.OK
    assert summary.endswith(f"(fake: {values['fake']})")
    assert str(host.sysfs) in values["fake"]
    assert (values["kind"], values["device"]) == ("measured", "cpu")
    parts = sum(float(values[name]) for name in ("idle_j", "nodes_j", "unattributed_j"))
    assert parts == pytest.approx(float(values["joules"]), abs=1e-6)
    assert float(values["imbalance_j"]) == pytest.approx(0.0, abs=1e-6)
    _, _, values = own[f"amplifier: energy {METER}"]
    assert str(host.sysfs) in values["fake"]
    assert (values["unit"], values["kind"]) == ("result", "measured")
    assert float(values["joules"]) > 0.0
    assert amplifier.energy.headline.fake


def test_the_figures_go_out_over_zeromq_too(robot: Any, host: Host) -> None:
    endpoint = f"ipc:///{host.folder.parent}/zmq"
    made = node(robot, **{"zmq.endpoint": endpoint})
    assert made.start(), made.problem
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"energy": "energy"}, clock=SteadyClock())
    subscriber.start(heard.append)
    try:
        robot.spin_until(moving(host, lambda: len(heard) > 1))
    finally:
        subscriber.stop()
    figures = from_plain(heard[-1].payload.fields)
    assert METER in [meter.name for meter in figures.meters]


def test_prometheus_reads_them(robot: Any, host: Host) -> None:
    pytest.importorskip("prometheus_client")
    made = node(robot)
    assert made.start(), made.problem
    robot.spin_until(moving(host, lambda: made._host is not None and made._host.newest is not None))
    assert [metric.name for metric in made._metrics()]


def test_beside_another_sampler_it_tells_what_that_one_found_and_takes_its_place(
    robot: Any, host: Host, energyd: subprocess.Popen[str]
) -> None:
    energy, reports = listen(robot, "/energy_node/energy"), listen(robot, "/diagnostics")
    made = node(robot)
    assert made.start(), made.problem

    def report() -> dict[str, str]:
        return reports.get("energy_node: energy", (None, "", {}))[2]

    robot.spin_until(moving(host, lambda: report().get("sampler") and f"energy_node: {METER}" in energy))
    assert str(energyd.pid) in report()["sampler"]
    assert report()["samples"] == "false"
    energyd.send_signal(signal.SIGINT)
    robot.spin_until(moving(host, lambda: report().get("samples") == "true"))
    assert energyd.wait(60) == 0
    energy.clear()
    robot.spin_until(moving(host, lambda: f"energy_node: {METER}" in energy))
    assert not report()["sampler"]


def test_a_sampler_that_was_killed_is_replaced(
    robot: Any, host: Host, energyd: subprocess.Popen[str]
) -> None:
    made = node(robot)
    assert made.start(), made.problem
    robot.spin_until(moving(host, lambda: made._host is not None and made._host.newest is not None))
    energyd.kill()
    energyd.wait()
    board = Board(host.folder)

    def sampled() -> Figures | None:
        return board.read() if made._host is not None and made._host.samples else None

    robot.spin_until(moving(host, sampled))


def test_two_of_them_do_not_sample_at_once(robot: Any, host: Host) -> None:
    first, second = node(robot), robot.add(EnergyNode(namespace="/other"))
    assert first.start(), first.problem
    robot.spin_until(moving(host, lambda: first._host.samples))
    assert second.start(), second.problem
    robot.spin_until(moving(host, lambda: second._host.newest is not None))
    assert not second._host.samples
    assert "/energy_node" in second._host.other
    first.trigger_deactivate()
    robot.spin_until(moving(host, lambda: second._host.samples))


def test_an_inactive_node_leaves_sampling_to_others(robot: Any, host: Host) -> None:
    made = node(robot)
    assert made.start(), made.problem
    robot.spin_until(moving(host, lambda: made._host.newest is not None))
    assert not lock_is_free(host)
    made.trigger_deactivate()
    assert lock_is_free(host)
    assert Board(host.folder).read() is None
    made.trigger_activate()
    robot.spin_until(moving(host, lambda: made._host.newest is not None))


def test_nodes_follow_a_sampler_that_restarts(robot: Any, host: Host) -> None:
    amplifier, made = robot.add(AmplifierNode()), node(robot)
    assert amplifier.start(), amplifier.problem
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)

    def known_as(kind: Kind) -> Any:
        return moving(host, lambda: amplifier.energy.headline.kind is kind)

    for _ in range(2):
        assert made.start(), made.problem
        robot.publish_until(publisher, STATE, known_as(Kind.MEASURED))
        made.trigger_deactivate()
        robot.publish_until(publisher, STATE, known_as(Kind.UNAVAILABLE))
        made.trigger_cleanup()


def test_a_battery_counts_and_what_cannot_be_is_refused(robot: Any, host: Host) -> None:
    energy, reports = listen(robot, "/energy_node/energy"), listen(robot, "/diagnostics")
    made = node(robot, **{"meters.battery": "battery"})
    assert made.start(), made.problem
    publisher = robot.outside.create_publisher(BatteryState, "battery", 10)
    nan = float("nan")
    cannot_be = [
        BatteryState(voltage=nan, current=nan),
        BatteryState(voltage=24.0, current=nan),
        BatteryState(voltage=-24.0, current=-5.0),
        BatteryState(voltage=24.0, current=float("-inf")),
        BatteryState(voltage=1e30, current=-5.0),
        BatteryState(),
    ]
    wrong = itertools.cycle(cannot_be)

    def refused() -> bool:
        host.move()
        publisher.publish(next(wrong))
        values = reports.get("energy_node: energy", (None, "", {}))[2]
        return {"battery.refused.voltage", "battery.refused.current"} <= values.keys()

    robot.spin_until(refused)
    assert energy.get("energy_node: battery", (Level.STALE,))[0] is Level.STALE
    good = BatteryState(voltage=24.0, current=-5.0)

    def measured() -> bool:
        host.move()
        publisher.publish(good)
        level, _, values = energy.get("energy_node: battery", (Level.STALE, "", {}))
        return level is Level.OK and float(values["joules"]) > 0.0

    robot.spin_until(measured)
    values = energy["energy_node: battery"][2]
    assert (values["kind"], values["device"], values["fake"]) == ("measured", "battery", "")


def test_it_says_that_a_battery_of_a_simulation_is_one(robot: Any, host: Host) -> None:
    made = node(robot, **{"meters.battery": "battery", "use_sim_time": True})
    assert made.start(), made.problem
    robot.spin_until(moving(host, lambda: made._host.newest is not None))
    battery = made._host.newest.meter("battery")
    assert battery is not None
    assert "simulated" in battery.fake


def test_a_folder_that_cannot_be_had_refuses_the_configuration(
    robot: Any, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(host.folder / "not" / "there"))
    made = node(robot)
    assert not made.start()
    assert "LOWLAT_ENERGY_DIR" in made.problem


def test_a_board_that_cannot_be_written_is_survived(robot: Any, host: Host) -> None:
    made = node(robot)
    assert made.start(), made.problem
    robot.spin_until(moving(host, lambda: made._host.newest is not None))
    hidden = host.folder.with_name("hidden")
    host.folder.rename(hidden)
    before_ns = made._host.newest.time_ns
    robot.spin_until(moving(host, lambda: made._host.newest.time_ns > before_ns))
    hidden.rename(host.folder)
    assert made._host.samples
