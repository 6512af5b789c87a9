# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Energy in the JSON of benchmarks: charged as it should be, null where nobody knows, and never of a fake."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lowlat_nodes.benchmarks import _energy, sky
from lowlat_nodes.benchmarks._energy import (
    BoardMeters,
    FakeMeter,
    HostMeters,
    Metered,
    cpu_s_of,
    merged,
)
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures, MeterFigures, Missing
from lowlat_nodes.stream.meter import Kind, Reading


@dataclass
class ScriptedMeter:
    """A meter of a test that counts as it is told; it says nothing of being a fake, as a real one would."""

    name: str = "rapl/package-0"
    device: str = "cpu"
    part_of: str = ""
    fake: str = ""
    covers: tuple[str, ...] = ("cpu",)
    reading: Reading = field(default_factory=lambda: Reading(0.0, 0, Kind.MEASURED, 0.001, 1e-6))

    def read(self) -> Reading:
        return self.reading

    def count(self, joules: float, **changes: object) -> None:
        self.reading = replace(self.reading, joules=self.reading.joules + joules, **changes)  # type: ignore[arg-type]

    def close(self) -> None:
        pass


def compute(seconds: float) -> None:
    """Use so much CPU time of this process."""
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        math.sqrt(2.0)


def metered(*meters: ScriptedMeter, idle_w: float = 0.0, missing: tuple[Missing, ...] = ()) -> Metered:
    for meter in meters:
        meter.reading = replace(meter.reading, idle_w=idle_w)
    return Metered(counts=HostMeters(meters, missing))


def test_what_is_above_idle_is_charged_by_share_of_cpu_time() -> None:
    meter = ScriptedMeter()
    with metered(meter) as energy:
        compute(0.3)
        meter.count(100.0)
    figures = energy.plain("alert", 50)
    assert figures["kind"] == "measured"
    assert figures["charged"] == ["rapl/package-0"]
    assert 0.0 < figures["cpu_share"] <= 1.0
    assert figures["joules"] == pytest.approx(100.0 * figures["cpu_share"], rel=1e-3)
    assert figures["j_per_alert"] == pytest.approx(figures["joules"] / 50, rel=1e-3)


def test_idle_power_is_not_charged() -> None:
    meter = ScriptedMeter()
    with metered(meter, idle_w=1e6) as energy:
        compute(0.05)
        meter.count(10.0)
    [found] = energy.plain("alert", 1)["meters"]
    assert found["idle_j"] > 10.0
    assert found["used_j"] == 0.0


def test_where_nobody_knows_the_idle_power_the_figure_has_it_and_says_so() -> None:
    meter = ScriptedMeter()
    with metered(meter, idle_w=math.nan) as energy:
        compute(0.05)
        meter.count(10.0)
    figures = energy.plain("alert", 2)
    assert figures["j_per_alert"] == 5.0
    assert figures["meters"][0]["idle_j"] is None
    assert "counts idle power too" in figures["why"]
    json.dumps(figures, allow_nan=False)


def test_a_window_of_less_than_ten_periods_has_no_figure() -> None:
    meter = ScriptedMeter(reading=Reading(0.0, 0, Kind.MEASURED, 3600.0, 1e-6))
    with metered(meter) as energy:
        meter.count(1.9)
    figures = energy.plain("detection", 100)
    assert (figures["kind"], figures["j_per_detection"], figures["joules"]) == ("unavailable", None, None)
    assert "too short for a counter that changes every 3.6e+03 s" in figures["why"]


def test_a_few_steps_of_a_counter_are_no_figure() -> None:
    meter = ScriptedMeter(reading=Reading(0.0, 0, Kind.MEASURED, 0.0, 50.0))
    with metered(meter) as energy:
        meter.count(100.0)
    assert "100 J in steps of 50 J" in energy.plain("alert", 1)["why"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"breaks": 1}, "started anew"),
        ({"kind": Kind.UNAVAILABLE, "why": "may not be read: chgrp"}, "may not be read: chgrp"),
    ],
)
def test_a_counter_that_was_away_has_no_figure(change: dict[str, object], why: str) -> None:
    meter = ScriptedMeter()
    with metered(meter) as energy:
        compute(0.05)
        meter.count(10.0, **change)
    figures = energy.plain("alert", 1)
    assert figures["j_per_alert"] is None
    assert why in figures["why"]


def test_no_meter_is_null_with_the_reason() -> None:
    with metered(missing=(Missing("rapl", "there is no /sys/class/powercap"),)) as energy:
        pass
    figures = energy.plain("message", 10)
    assert (figures["kind"], figures["j_per_message"], figures["meters"]) == ("unavailable", None, [])
    assert figures["why"] == "no meter; missing here: rapl; `lowlat energy meters` says why"


def test_no_results_have_no_cost() -> None:
    meter = ScriptedMeter()
    with metered(meter) as energy:
        compute(0.05)
        meter.count(10.0)
    figures = energy.plain("message", 0)
    assert (figures["j_per_message"], figures["why"]) == (None, "there were no results")


def test_kinds_are_not_added_and_no_part_beside_its_whole() -> None:
    whole = ScriptedMeter()
    part = ScriptedMeter("rapl/core", part_of="rapl/package-0")
    memory = ScriptedMeter("rapl/dram", "memory")
    model = ScriptedMeter("model/cpu", reading=Reading(0.0, 0, Kind.MODELLED, 0.0, 1e-6))
    with metered(whole, part, memory, model) as energy:
        compute(0.05)
        for meter in (whole, part, memory, model):
            meter.count(10.0)
    figures = energy.plain("alert", 1)
    assert figures["kind"] == "measured"
    assert figures["charged"] == ["rapl/package-0", "rapl/dram"]
    assert len(figures["meters"]) == 4


@pytest.mark.parametrize(
    ("devices", "charged"),
    [
        (["cpu", "board", "battery"], ["board"]),
        (["cpu", "gpu0", "battery"], ["cpu", "gpu0"]),
        (["gpu0", "battery"], ["battery"]),
    ],
)
def test_the_board_comes_before_its_devices_and_the_battery_last(
    devices: list[str], charged: list[str]
) -> None:
    meters = [ScriptedMeter(device, device) for device in devices]
    with metered(*meters) as energy:
        compute(0.05)
        for meter in meters:
            meter.count(1.0)
    assert energy.plain("alert", 1)["charged"] == charged


def test_a_measured_gpu_is_no_measure_of_a_modelled_processor() -> None:
    gpu = ScriptedMeter("nvml/0", "gpu0")
    model = ScriptedMeter("model/cpu", reading=Reading(0.0, 0, Kind.MODELLED, 0.0, 1e-6))
    with metered(gpu, model) as energy:
        compute(0.05)
        gpu.count(10.0)
        model.count(10.0)
    figures = energy.plain("alert", 1)
    assert (figures["kind"], figures["charged"]) == ("modelled", ["model/cpu"])
    assert [each["used_j"] for each in figures["meters"] if each["name"] == "nvml/0"] == [10.0]


def test_windows_add_up() -> None:
    meter = ScriptedMeter()
    energy = metered(meter)
    for _ in range(3):
        with energy:
            compute(0.05)
            meter.count(10.0)
        meter.count(1000.0)  # in between
    figures = energy.plain("alert", 1)
    assert figures["meters"][0]["joules"] == 30.0
    assert figures["cpu_s"] == pytest.approx(0.15, abs=0.1)


def test_a_part_of_the_cpu_time_is_charged_its_part() -> None:
    meter = ScriptedMeter()
    with metered(meter) as energy:
        compute(0.4)
        meter.count(100.0)
    all_of_it, half = energy.plain("step", 1), energy.plain("step", 1, 0.5 * energy.cpu_s)
    assert half["joules"] == pytest.approx(0.5 * all_of_it["joules"], rel=0.01)


def test_cpu_time_is_that_of_a_process_and_its_children_also_of_ended_ones() -> None:
    inner = "import time\nwhile time.process_time() < 0.3: pass"
    run = f"subprocess.run([sys.executable, '-c', {inner!r}])"
    outer = f"import subprocess, sys\n{run}\nprint(flush=True)\ninput()"
    begin_s = cpu_s_of(frozenset({os.getpid()}))
    child = subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert cpu_s_of(frozenset({child.pid})) >= 0.3
    assert cpu_s_of(frozenset({os.getpid()})) - begin_s >= 0.3
    child.communicate(b"\n")
    assert cpu_s_of(frozenset({os.getpid()})) - begin_s >= 0.3
    assert cpu_s_of(frozenset({child.pid})) == 0.0


def test_processes_that_have_gone_cannot_be_charged() -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    meter = ScriptedMeter(reading=Reading(0.0, 0, Kind.MEASURED, 0.001, 1e-6, idle_w=0.0))
    with Metered([child.pid], HostMeters([meter])) as energy:
        child.communicate(b"\n")
        compute(0.05)
        meter.count(10.0)
    figures = energy.plain("alert", 1)
    assert figures["j_per_alert"] is None
    assert figures["why"] == "no meter; rapl/package-0: the processes whose energy it would be have ended"


def test_a_fake_meter_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(FakeMeter, match=r"rapl/package-0 is a fake \(simulated\)"):
        metered(ScriptedMeter(fake="simulated"))


@pytest.fixture
def fake_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A sysfs with a processor whose counter stands at 5 J."""
    zone = tmp_path / "sys" / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("5000000\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    monkeypatch.setenv("LOWLAT_SYSFS_ROOT", str(tmp_path / "sys"))
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path / "energy"))
    _energy._host_meters.cache_clear()
    yield tmp_path
    _energy._host_meters.cache_clear()


@pytest.mark.usefixtures("fake_tree")
def test_no_benchmark_file_is_written_from_a_fake(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(FakeMeter, match="fake sysfs"):
        sky.main(["--json", "--count", "50", "--plots", str(tmp_path / "plots")])
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "plots").exists()


def figures_of_board(steady_ns: int, joules: float, idle_j: float, fake: str = "") -> Figures:
    meter = MeterFigures(
        "rapl/package-0", "cpu", ("cpu",), "", fake, Kind.MEASURED, 0.001, 1e-6,
        20.0, joules, 15.0, idle_j, 0.0, joules - idle_j, 0.0, 0.0,
    )  # fmt: skip
    return Figures("here", time.time_ns(), steady_ns, 1.0, (meter,), (), ())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[Board, list[Figures]], None]:
    """Let a sampler publish when its reader looks next."""

    def start(board: Board, coming: list[Figures]) -> None:
        def publish(_seconds: float) -> None:
            if coming:
                board.publish(replace(coming.pop(0), steady_ns=time.monotonic_ns()))

        monkeypatch.setattr(_energy.time, "sleep", publish)

    return start


def test_a_sampler_is_read_instead_and_knows_the_idle_power(
    tmp_path: Path, later: Callable[[Board, list[Figures]], None]
) -> None:
    board = Board(tmp_path)
    first = figures_of_board(time.monotonic_ns(), 0.0, 0.0)
    board.publish(first)
    later(board, [figures_of_board(0, 100.0, 80.0), figures_of_board(0, 150.0, 90.0)])
    with Metered(counts=BoardMeters(board, first)) as energy:
        compute(0.1)
    figures = energy.plain("alert", 1)
    assert figures["meters"][0]["joules"] == 50.0
    assert figures["meters"][0]["idle_j"] == 10.0
    assert figures["joules"] == pytest.approx(40.0 * figures["cpu_share"], rel=1e-3)


def test_a_sampler_that_measures_comes_before_meters_and_a_model_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir(mode=0o700)
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(pages))
    assert isinstance(_energy.counts_of_host(), HostMeters)
    measured = figures_of_board(time.monotonic_ns(), 1.0, 0.0)
    Board(pages).publish(measured)
    assert isinstance(_energy.counts_of_host(), BoardMeters)
    modelled = replace(measured, meters=(replace(measured.meters[0], kind=Kind.MODELLED),))
    Board(pages).publish(modelled)
    assert isinstance(_energy.counts_of_host(), HostMeters)
    Board(pages).publish(figures_of_board(time.monotonic_ns(), 1.0, 0.0, fake="simulated"))
    with pytest.raises(FakeMeter):
        _energy.counts_of_host()


def test_a_sampler_that_reads_fakes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FakeMeter):
        BoardMeters(Board(tmp_path), figures_of_board(0, 0.0, 0.0, fake="simulated"))


def test_energy_of_parts_is_kept_when_figures_are_put_together() -> None:
    figures = merged({"a": 1, "energy": {"first": {}}}, {"b": 2, "energy": {"second": {}}})
    assert figures == {"a": 1, "b": 2, "energy": {"first": {}, "second": {}}}
    assert merged({"a": 1}, {"b": 2}) == {"a": 1, "b": 2}
