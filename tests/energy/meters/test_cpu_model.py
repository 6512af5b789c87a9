# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.energy.meters.cpu_model import CpuModel
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind


def _stat(proc: Path, *, user: int = 0, idle: int = 0, steal: int = 0) -> None:
    """Write what the kernel says of all CPUs together, in hundredths of a second."""
    text = f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 {user} 0 0 {idle} 0 0 0 {steal} 0 0\n"
    (proc / "stat").write_text(text, encoding="ascii")


def test_time_at_work_costs_more_than_idle_time(tmp_path: Path, clock: ManualClock) -> None:
    _stat(tmp_path)
    model = CpuModel(1.0, 5.0, proc=tmp_path, clock=clock)
    assert (model.read().kind, model.read().joules) == (Kind.MODELLED, 0.0)
    _stat(tmp_path, user=100, idle=300)
    reading = model.read()
    assert reading.joules == pytest.approx(1 * 5.0 + 3 * 1.0)
    assert reading.why == "a model of 1 W per idle and 5 W per busy CPU, as the settings say"
    assert (reading.period_s, reading.resolution_j) == (0.01, pytest.approx(0.04))


def test_what_other_virtual_machines_take_is_not_ours(tmp_path: Path, clock: ManualClock) -> None:
    _stat(tmp_path)
    model = CpuModel(1.0, 5.0, proc=tmp_path, clock=clock)
    model.read()
    _stat(tmp_path, idle=100, steal=500)
    assert model.read().joules == pytest.approx(1.0)


def test_idle_time_that_falls_is_not_counted_twice(tmp_path: Path, clock: ManualClock) -> None:
    model = CpuModel(1.0, 5.0, proc=tmp_path, clock=clock)
    joules = []
    for idle in (1000, 1100, 1090, 1200):
        _stat(tmp_path, idle=idle)
        joules.append(model.read().joules)
    assert joules == pytest.approx([0.0, 1.0, 1.0, 2.0])


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\n", "cpu  a b c d e f g\n", "intr 0\n"])
def test_times_that_cannot_be_read(tmp_path: Path, clock: ManualClock, text: str) -> None:
    model = CpuModel(proc=tmp_path, clock=clock)
    assert model.read().kind is Kind.UNAVAILABLE  # there is no such file
    (tmp_path / "stat").write_text(text, encoding="ascii")
    assert model.read().kind is Kind.UNAVAILABLE
    _stat(tmp_path, user=100)
    assert (model.read().kind, model.read().joules) == (Kind.MODELLED, 0.0)


def test_this_machine_works() -> None:
    model = CpuModel()
    first = model.read().joules
    while (reading := model.read()).joules <= first:
        pass
    assert reading.kind is Kind.MODELLED
    assert "0.74 W per idle and 3.5 W per busy CPU, averages of SPECpower" in reading.why
    model.close()
