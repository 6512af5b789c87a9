# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a host go on whatever fails, and come from whoever samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import SamplerLock
from lowlat_nodes.energy.sampler import Sampler
from lowlat_nodes.nodes.energy.host_energy import HostEnergy
from lowlat_nodes.stream.pulse import Pulse

PATIENCE_S = 60.0

Make = Callable[..., HostEnergy]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "energy_of_this_test"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def host(folder: Path) -> Iterator[Make]:
    """Start what the test says, without meters."""
    started: list[HostEnergy] = []

    def make(
        sampler: Callable[[], Sampler] = lambda: Sampler([], folder=folder),
        heard: Callable[[Figures], None] = lambda _figures: None,
    ) -> HostEnergy:
        started.append(HostEnergy(sampler, Board(folder), heard, Pulse("energy"), 10.0))
        started[-1].start()
        return started[-1]

    yield make
    for each in started:
        each.stop()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def test_it_samples_and_gives_the_right_to_back(host: Make, folder: Path) -> None:
    heard: list[Figures] = []
    made = host(heard=heard.append)
    until(lambda: len(heard) > 1)
    assert made.samples
    assert made.newest == heard[-1]
    assert not made.other
    made.stop()
    assert Board(folder).read() is None
    SamplerLock(folder, "test").close()


def test_what_cannot_be_made_is_said_and_made_again(host: Make, folder: Path) -> None:
    errors = [OSError("no such sensor"), ValueError("a sensor of nonsense")]

    def make() -> Sampler:
        if errors:
            raise errors.pop(0)
        return Sampler([], folder=folder)

    made = host(make)
    until(lambda: made.newest is not None)
    assert made.failures.snapshot() == {"sample: OSError": 1, "sample: ValueError": 1}
    assert "nonsense" in made.last_failure


def test_who_hears_may_fail(host: Make) -> None:
    heard: list[Figures] = []

    def hear(figures: Figures) -> None:
        heard.append(figures)
        raise OSError("a closed socket")

    made = host(heard=hear)
    until(lambda: len(heard) > 2)
    assert made.samples
    assert made.failures["publish: OSError"] >= 2


def test_it_reads_while_another_samples_and_takes_the_place_of_one_that_hangs_no_more(
    host: Make, folder: Path
) -> None:
    other = SamplerLock(folder, "another one")  # that never says anything
    heard: list[Figures] = []
    made = host(heard=heard.append)
    until(lambda: made.other)
    assert "another one" in made.other
    assert (made.samples, made.newest) == (False, None)
    told = Figures("host", 1, time.monotonic_ns(), 1.0, (), (), ())
    Board(folder).publish(told)
    until(lambda: heard)
    assert heard == [told]
    other.close()
    Board(folder).withdraw()
    until(lambda: made.samples)


def test_it_ends_at_once_while_it_reads(host: Make, folder: Path) -> None:
    other = SamplerLock(folder, "another one")
    made = host()
    until(lambda: made.other)
    made.stop()
    assert not made.samples
    other.close()
