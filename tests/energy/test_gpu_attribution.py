# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From the driver to the board: all is real but the driver's library."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_driver import FakeDriver

from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.gpu_processes import GpuProcesses
from lowlat_nodes.energy.meters import nvml
from lowlat_nodes.energy.nvidia import Driver
from lowlat_nodes.energy.sampler import Sampler
from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind

GPU_IS_LOST = 15
SOMEBODY_ELSE = 4_194_303


class Host:
    """A machine with one GPU, on which a node works, and somebody else does."""

    def __init__(self, fake: FakeDriver, folder: Path) -> None:
        fake.say(processes0=1, utilisation0=0)
        self.fake = fake
        self.clock, self.unix = ManualClock(time.monotonic_ns()), ManualClock(1_700_000_000_000_000_000)
        driver = Driver()
        found = nvml.find(self.clock, driver, sleep=lambda _: None)
        namespace = folder / "pid"
        namespace.symlink_to("pid:[4026531836]")
        self.mj = 2_000_000
        fake.say(step0=None, energy0=self.mj)
        processes = GpuProcesses(driver, self.clock, self.unix, namespace)
        self.sampler = Sampler(
            found.meters, found.missing, folder, processes, clock=self.clock, slept_ns=lambda: 0
        )

    def second(self, joules: float, node: int = 0, somebody: int = 0) -> Figures:
        """Let a second go by in which the GPU used joules, and each of the two a share of its time, %."""
        self.clock.advance(1_000_000_000)
        self.unix.advance(1_000_000_000)
        self.mj += round(joules * 1000)
        self.fake.say(energy0=self.mj)
        for pid, percent in ((os.getpid(), node), (SOMEBODY_ELSE, somebody)):
            if percent:
                self.fake.sample(0, pid, self.unix.now_ns() // 1000, percent)
        figures = self.sampler.sample()
        assert figures is not None
        return figures


@pytest.fixture
def host(fake_nvml: FakeDriver, tmp_path: Path) -> Iterator[Host]:
    it = Host(fake_nvml, tmp_path)
    yield it
    it.sampler.close()


def test_a_node_gets_the_energy_of_its_share_of_the_gpu(host: Host, tmp_path: Path) -> None:
    tally = Tally("/node", "action", tmp_path)
    host.second(0.0)
    for _ in range(10):
        tally.done(5)
        figures = host.second(100.0, node=60, somebody=20)
    (meter,), (node,) = figures.meters, figures.nodes
    assert meter.fake == "fake driver: FAKE GPU (test)"
    assert meter.kind is Kind.MEASURED
    assert meter.joules == pytest.approx(1000.0, abs=200.0)
    assert node.gpu_s == pytest.approx(6.0, abs=0.7)
    # Idle power cannot be told from rates that never vary; the node gets the energy of its time at work.
    assert meter.nodes_j == pytest.approx(0.6 * meter.joules, rel=0.05)
    assert node.joules["nvml/0"] == pytest.approx(meter.nodes_j)
    assert meter.imbalance_j == pytest.approx(0.0, abs=1e-6)
    tally.close()


def test_on_a_divided_gpu_nobody_can_be_charged(host: Host, tmp_path: Path) -> None:
    host.fake.say(mig0=1)
    tally = Tally("/node", "action", tmp_path)
    for _ in range(5):
        figures = host.second(100.0, node=60)
    (meter,) = figures.meters
    assert meter.kind is Kind.MEASURED
    assert meter.nodes_j == 0.0
    assert meter.unattributed_j + meter.idle_j == pytest.approx(meter.joules)
    assert [missing.name for missing in figures.missing] == ["processes of gpu0"]
    assert "MIG" in figures.missing[0].why
    tally.close()


def test_a_gpu_that_is_lost_is_unmetered_and_comes_back(host: Host) -> None:
    for _ in range(3):
        before = host.second(100.0).meters[0]
    host.fake.say(error0=GPU_IS_LOST)
    for _ in range(5):
        away = host.second(100.0).meters[0]
    assert away.kind is Kind.UNAVAILABLE
    assert away.joules == before.joules
    assert away.unmetered_s > before.unmetered_s
    host.fake.say(error0=None)
    for _ in range(40):
        back = host.second(100.0).meters[0]
    assert back.kind is Kind.MEASURED
    assert back.joules > away.joules
    assert back.imbalance_j == pytest.approx(0.0, abs=1e-6)
