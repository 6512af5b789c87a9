# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from meters_for_tests import Told

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures, Missing
from lowlat_nodes.energy.folder import SamplerRunning
from lowlat_nodes.energy.sampler import Sampler, run
from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind


class Gpus:
    """Times of processes on GPUs, as a test tells them."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}
        self.times: dict[tuple[str, int], int] = {}
        self.closed = False

    def read(self) -> Mapping[tuple[str, int], int]:
        return self.times

    def close(self) -> None:
        self.closed = True


class Rig:
    """A sampler whose time and meters are in the hands of a test; pages and processes are real."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(time.monotonic_ns())
        self.slept_ns = 0
        self.cpu = Told(self.clock)
        self.gpu = Told(self.clock, name="told/gpu0", device="gpu0")
        self.gpus = Gpus()
        self.sampler = Sampler(
            [self.cpu, self.gpu],
            [Missing("battery", "there is none")],
            folder,
            self.gpus,
            clock=self.clock,
            slept_ns=lambda: self.slept_ns,
        )

    def pass_by(self, seconds: float, cpu: float = 0.0, gpu: float = 0.0) -> Figures | None:
        self.clock.advance(round(seconds * 1e9))
        self.cpu.joules += cpu
        self.gpu.joules += gpu
        return self.sampler.sample()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    it = Rig(tmp_path)
    yield it
    it.sampler.close()


def used_cpu(ms: int) -> None:
    end_ns = time.process_time_ns() + ms * 1_000_000
    while time.process_time_ns() < end_ns:
        pass


def test_a_window_is_a_second_of_samples(rig: Rig, tmp_path: Path) -> None:
    tally = Tally("/node", "action", tmp_path)
    assert [rig.pass_by(0.1, 1.0, 2.0) for _ in range(9)] == [None] * 9
    tally.begin()
    tally.done(20)
    figures = rig.pass_by(0.1, 1.0, 2.0)
    assert figures is not None
    assert [(meter.name, meter.joules) for meter in figures.meters] == [
        ("told/cpu", 10.0),
        ("told/gpu0", 20.0),
    ]
    assert [meter.watts for meter in figures.meters] == pytest.approx([10.0, 20.0])
    assert [meter.imbalance_j for meter in figures.meters] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert figures.missing == (Missing("battery", "there is none"),)
    assert figures.steady_ns == rig.clock.now_ns()
    node = figures.node("/node")
    assert node is not None
    assert (node.unit, node.results, node.rate_hz) == ("action", 20, pytest.approx(20.0))
    tally.close()


def test_cpu_time_is_charged_from_when_a_node_was_first_seen(rig: Rig, tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    rig.pass_by(1.0, 10.0)
    used_cpu(50)
    figures = rig.pass_by(1.0, 10.0)
    assert figures is not None
    node = figures.node("/node")
    assert node is not None
    assert node.cpu_s >= 0.05
    assert 0.0 < node.joules["told/cpu"] <= 10.0
    tally.close()


def test_a_late_sample_makes_a_longer_window(rig: Rig, tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    rig.pass_by(1.0)
    tally.done(100)
    figures = rig.pass_by(5.0, 50.0)
    assert figures is not None
    assert figures.nodes[0].rate_hz == pytest.approx(20.0)
    assert figures.meters[0].watts == pytest.approx(10.0)
    assert rig.pass_by(0.5) is None  # and the next window is not cut short
    assert rig.pass_by(0.5) is not None
    tally.close()


def test_of_a_time_in_which_the_machine_was_suspended_nothing_is_known(rig: Rig, tmp_path: Path) -> None:
    rig.pass_by(1.0, 10.0)
    rig.slept_ns = 3600 * 10**9
    figures = rig.pass_by(1.0, 7.0)
    assert figures is not None
    assert (figures.meters[0].joules, figures.meters[0].unattributed_j) == (17.0, 17.0)
    assert figures.meters[0].unmetered_s == pytest.approx(1.0)
    assert rig.sampler.counts.snapshot() == {"suspended": 1}
    figures = rig.pass_by(1.0, 10.0)
    assert figures is not None
    assert figures.meters[0].watts == pytest.approx(10.0)


def test_a_node_that_comes_and_goes(rig: Rig, tmp_path: Path) -> None:
    for results in (3, 6):
        tally = Tally("/node", folder=tmp_path)
        for _ in range(5):
            rig.pass_by(0.1)
        tally.done(3)
        tally.close()
        figures = rig.pass_by(0.5)
        assert figures is not None
        assert figures.nodes[0].results == results
    figures = rig.pass_by(1.0)
    assert figures is not None
    assert figures.nodes[0].rate_hz == 0.0


def test_gpu_time_of_the_processes_of_a_node(rig: Rig, tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    stranger = 1  # lives, and is nobody's
    rig.gpus.times = {("gpu0", os.getpid()): 10**9, ("gpu0", stranger): 10**9}
    rig.pass_by(1.0, 0.0, 100.0)
    rig.gpus.times = {("gpu0", os.getpid()): 1_200_000_000, ("gpu0", stranger): 1_300_000_000}
    figures = rig.pass_by(1.0, 0.0, 100.0)
    assert figures is not None
    node = figures.node("/node")
    assert node is not None
    # Both were seen at work for a second, of the one that there was, and then for half of one.
    assert node.gpu_s == pytest.approx(1.2)
    assert node.joules["told/gpu0"] == pytest.approx(50.0 + 20.0)
    assert figures.meters[1].unattributed_j == pytest.approx(50.0 + 80.0)
    rig.gpus.why = {"gpu0": "MIG"}
    rig.gpus.times = {("gpu0", os.getpid()): 1_800_000_000}
    figures = rig.pass_by(1.0, 0.0, 100.0)
    assert figures is not None
    assert figures.meters[1].nodes_j == pytest.approx(70.0)
    assert Missing("processes of gpu0", "MIG") in figures.missing
    tally.close()


def test_a_driver_that_goes_and_comes_back(rig: Rig) -> None:
    rig.pass_by(1.0, 10.0, 10.0)
    rig.gpu.kind, rig.gpu.why = Kind.UNAVAILABLE, "GPU is lost"
    figures = rig.pass_by(1.0, 10.0)
    assert figures is not None
    assert (figures.meters[1].kind, figures.meters[1].why) == (Kind.UNAVAILABLE, "GPU is lost")
    assert math.isnan(figures.meters[1].watts)
    assert figures.meters[0].kind is Kind.MEASURED
    rig.gpu.kind, rig.gpu.why, rig.gpu.breaks = Kind.MEASURED, "", 1
    rig.pass_by(1.0)
    figures = rig.pass_by(1.0, 10.0, 5.0)
    assert figures is not None
    assert (figures.meters[1].joules, figures.meters[1].watts) == (15.0, pytest.approx(5.0))
    assert figures.meters[1].unmetered_s == pytest.approx(2.0)


def test_a_second_sampler_is_refused_and_closes_what_it_was_given(rig: Rig, tmp_path: Path) -> None:
    meter, gpus = Told(rig.clock), Gpus()
    with pytest.raises(SamplerRunning, match=rf"process {os.getpid()} \(energyd\)"):
        Sampler([meter], [], tmp_path, gpus, name="energy_node")
    assert meter.closed
    assert gpus.closed
    rig.sampler.close()
    assert rig.cpu.closed
    assert rig.gpus.closed
    Sampler([], [], tmp_path).close()


def test_the_board_has_the_figures_as_long_as_somebody_samples(tmp_path: Path) -> None:
    sampler = Sampler([], [], tmp_path, window_s=0.01)
    published: list[Figures] = []
    run(sampler, lambda seconds: time.sleep(seconds) or len(published) == 3, published.append, 1000.0)
    found = Board(tmp_path).read()
    assert found is not None
    assert found.steady_ns == published[2].steady_ns
    assert found.host == published[2].host != ""
    sampler.close()
    sampler.close()
    assert Board(tmp_path).read() is None


def test_samples_that_come_too_late_are_left_out(tmp_path: Path) -> None:
    sampler = Sampler([], [], tmp_path, window_s=3600.0)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        time.sleep(0.02)  # twenty periods
        return len(waits) == 20

    run(sampler, wait, pytest.fail, 1000.0)
    assert max(waits) <= 0.001
    sampler.close()


def test_a_folder_that_goes_is_counted_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "energy"
    folder.mkdir()
    rig = Rig(folder)
    rig.pass_by(1.0, 10.0)
    shutil.rmtree(folder)
    figures = rig.pass_by(1.0, 10.0)
    assert figures is not None
    assert figures.meters[0].joules == 20.0
    assert rig.sampler.counts.snapshot() == {"board": 1}
    assert rig.sampler.refused == {"folder": 1}
    rig.sampler.close()


def test_pages_that_are_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "bad.tally").write_bytes(b"bad")
    assert rig.pass_by(1.0) is not None
    assert rig.sampler.refused == {"wrong size": 1}


def test_without_pages_of_time_nothing_is_published(rig: Rig) -> None:
    never: Callable[[Figures], None] = pytest.fail
    run(rig.sampler, lambda _seconds: True, never)
