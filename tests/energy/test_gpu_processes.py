# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "meters"))
from fake_driver import FakeDriver

from lowlat_nodes.energy.gpu_processes import GpuProcesses
from lowlat_nodes.energy.nvidia import Driver
from lowlat_nodes.stream.clock import ManualClock

# nvmlReturn_t
NOT_SUPPORTED, INSUFFICIENT_SIZE, DRIVER_NOT_LOADED, GPU_IS_LOST = 3, 7, 9, 15

START_US = 1_700_000_000_000_000


class Host:
    """A machine whose clocks, and driver, do what they are told.

    Args:
        fake: What its driver says.
        folder: Where its namespace stands.
    """

    def __init__(self, fake: FakeDriver, folder: Path) -> None:
        self.steady = ManualClock(5_000_000_000)
        self.stepped_us = 0
        self.fake = fake
        self.namespace = folder / "pid"
        self.namespace.symlink_to("pid:[4026531836]")
        fake.say(processes0=1, utilisation0=0)

    def open(self) -> GpuProcesses:
        return GpuProcesses(Driver(), self.steady, _Unix(self), self.namespace)

    @property
    def us(self) -> int:
        """The time, by the driver's clock."""
        return START_US + self.stepped_us + self.steady.now_ns() // 1000

    def sleep(self, seconds: float) -> None:
        self.steady.advance(round(seconds * 1e9))

    def sample(self, pid: int, percent: int, gpu: int = 0) -> None:
        self.fake.sample(gpu, pid, self.us, percent)


class _Unix:
    def __init__(self, host: Host) -> None:
        self._host = host

    def now_ns(self) -> int:
        return self._host.us * 1000


@pytest.fixture
def host(fake_nvml: FakeDriver, tmp_path: Path) -> Host:
    return Host(fake_nvml, tmp_path)


@pytest.fixture
def processes(host: Host) -> Iterator[GpuProcesses]:
    opened = host.open()
    yield opened
    opened.close()


def seconds(processes: GpuProcesses) -> dict[tuple[str, int], float]:
    return {who: pytest.approx(ns / 1e9) for who, ns in processes.read().items()}


def test_time_is_utilisation_times_the_time_since_the_sample_before(
    host: Host, processes: GpuProcesses
) -> None:
    host.sample(7, 100)
    assert seconds(processes) == {("gpu0", 7): 0.0}  # from before we came
    for _ in range(4):
        host.sleep(0.5)
        host.sample(7, 50)
        host.sample(8, 25)
        found = seconds(processes)
    assert found == {("gpu0", 7): 1.0, ("gpu0", 8): 0.5}
    assert processes.why == {}


def test_no_sample_counts_twice(host: Host, processes: GpuProcesses) -> None:
    processes.read()
    host.sleep(1.0)
    host.sample(7, 50)
    once = processes.read()
    for _ in range(10):
        host.sleep(0.01)
        assert processes.read() == once


def test_the_first_sample_on_an_idle_gpu_counts_since_the_reading_before(
    host: Host, processes: GpuProcesses
) -> None:
    assert processes.read() == {}
    host.sleep(1.0)
    host.sample(7, 80)
    assert seconds(processes) == {("gpu0", 7): 0.8}


def test_idle_time_is_not_taken_for_work(host: Host, processes: GpuProcesses) -> None:
    host.sample(7, 100)
    processes.read()
    for _ in range(600):
        host.sleep(0.1)
        processes.read()
    host.sample(7, 100)
    (busy_s,) = seconds(processes).values()
    assert 0.0 < busy_s.expected <= 1.1


def test_a_reader_that_was_away_for_long_still_counts_all(host: Host, processes: GpuProcesses) -> None:
    host.sample(7, 100)
    processes.read()
    host.sleep(60.0)
    host.sample(7, 50)
    assert seconds(processes) == {("gpu0", 7): 30.0}


def test_samples_of_garbage_are_left_out(host: Host, processes: GpuProcesses) -> None:
    host.sample(7, 0)
    processes.read()
    host.sleep(1.0)
    host.sample(7, 40)
    host.sample(0, 40)
    host.sample(8, 4_000_000_000)
    host.fake.sample(0, 9, 2**62, 40)
    assert seconds(processes) == {("gpu0", 7): 0.4}
    host.sleep(1.0)
    host.sample(7, 40)
    assert seconds(processes) == {("gpu0", 7): 0.8}


def test_garbage_at_the_start_does_not_make_us_deaf(host: Host, processes: GpuProcesses) -> None:
    host.fake.sample(0, 9, 2**62, 40)
    processes.read()
    host.sleep(1.0)
    host.sample(7, 40)
    processes.read()
    host.sleep(1.0)
    host.sample(7, 40)
    assert seconds(processes)["gpu0", 7].expected >= 0.4


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_clock_that_is_set_costs_one_sample(host: Host, processes: GpuProcesses, step_s: int) -> None:
    host.sample(7, 50)
    processes.read()
    host.stepped_us += step_s * 1_000_000
    for _ in range(4):
        host.sleep(1.0)
        host.sample(7, 50)
        found = seconds(processes)
    assert 1.5 - 0.01 <= found["gpu0", 7].expected <= 2.0


def test_each_gpu_by_itself(host: Host) -> None:
    host.fake.say(gpus=2, processes1=1, utilisation1=0)
    processes = host.open()
    processes.read()
    host.sleep(1.0)
    host.sample(7, 50, gpu=0)
    host.sample(7, 25, gpu=1)
    assert seconds(processes) == {("gpu0", 7): 0.5, ("gpu1", 7): 0.25}
    processes.close()


def test_a_driver_that_samples_no_processes_is_said(host: Host, processes: GpuProcesses) -> None:
    host.fake.say(processes0=None)
    assert processes.read() == {}
    assert "Not Supported" in processes.why["gpu0"]


def test_a_divided_gpu_is_said(host: Host, processes: GpuProcesses) -> None:
    host.sample(7, 50)
    processes.read()
    host.fake.say(mig0=1)
    before = processes.read()
    assert "MIG" in processes.why["gpu0"]
    host.sleep(1.0)
    assert processes.read() == before
    host.fake.say(mig0=0)
    host.sleep(3600.0)
    host.sample(7, 50)
    assert processes.read() == before  # whatever was before is not known
    assert processes.why == {}
    host.sleep(1.0)
    host.sample(7, 50)
    assert processes.read()["gpu0", 7] - before["gpu0", 7] == pytest.approx(0.5e9)


def test_a_container_with_process_ids_of_its_own_is_said_and_nothing_is_counted(host: Host) -> None:
    host.namespace.unlink()
    host.namespace.symlink_to("pid:[4026532441]")
    processes = host.open()
    processes.read()
    host.sleep(1.0)
    host.sample(7, 50)
    assert processes.read() == {}
    assert "--pid=host" in processes.why["gpu0"]
    processes.close()


def test_a_busy_gpu_without_processes_is_said_and_an_idle_one_is_not(
    host: Host, processes: GpuProcesses
) -> None:
    for _ in range(10):
        host.sleep(1.0)
        processes.read()
    assert processes.why == {}
    host.fake.say(utilisation0=90)
    for _ in range(10):
        host.sleep(1.0)
        processes.read()
    assert "90 % busy" in processes.why["gpu0"]
    host.sample(7, 90)
    processes.read()
    assert processes.why == {}


@pytest.mark.parametrize("trouble", [{"error0": GPU_IS_LOST}, {"driver": DRIVER_NOT_LOADED}])
def test_a_gpu_that_goes_and_comes_back(host: Host, processes: GpuProcesses, trouble: dict[str, int]) -> None:
    processes.read()
    host.sleep(1.0)
    host.sample(7, 50)
    before = processes.read()
    host.fake.say(**trouble)
    for _ in range(10):
        host.sleep(1.0)
        assert processes.read() == before
        assert processes.why["gpu0"]
    host.fake.say(**dict.fromkeys(trouble))
    for _ in range(40):
        host.sleep(1.0)
        host.sample(7, 50)
        processes.read()
    assert processes.why == {}
    assert processes.read()["gpu0", 7] > before["gpu0", 7]


def test_more_processes_between_two_calls_are_counted_with_the_next(
    host: Host, processes: GpuProcesses
) -> None:
    host.sample(7, 50)
    processes.read()
    host.fake.say(error0=INSUFFICIENT_SIZE)
    host.sleep(1.0)
    processes.read()
    assert processes.why == {}
    host.fake.say(error0=None)
    host.sleep(1.0)
    host.sample(7, 50)
    assert seconds(processes) == {("gpu0", 7): 1.0}


def test_processes_long_gone_are_forgotten_before_others(host: Host, processes: GpuProcesses) -> None:
    processes.read()
    host.sleep(1.0)
    for pid in range(1, 1101):
        host.sample(pid, 50)
    found = processes.read()
    assert len(found) == 1024
    assert ("gpu0", 1100) in found


def test_without_a_driver_it_is_said(host: Host) -> None:
    host.fake.say(driver=DRIVER_NOT_LOADED)
    processes = host.open()
    assert processes.read() == {}
    assert "Driver Not Loaded" in processes.why["gpu"]
    processes.close()
