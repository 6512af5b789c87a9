# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_driver import FakeDriver

from lowlat_nodes.energy.meters import nvml
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.nvidia import Driver
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind, Meter

# nvmlReturn_t
NOT_SUPPORTED, DRIVER_NOT_LOADED, TIMEOUT, GPU_IS_LOST, MISMATCH, UNKNOWN = 3, 9, 10, 15, 18, 999


class Host(ManualClock):
    def __init__(self) -> None:
        super().__init__(1_000_000_000)
        self.driver = Driver()

    def sleep(self, seconds: float) -> None:
        self.advance(int(seconds * 1e9))


@pytest.fixture
def host() -> Host:
    return Host()


def find(host: Host) -> Found:
    return nvml.find(host, host.driver, host.sleep)


def find_one(host: Host) -> Meter:
    found = find(host)
    assert found.missing == ()
    (meter,) = found.meters
    return meter


def counter(fake: FakeDriver, host: Host) -> Meter:
    """A meter over the energy counter, which from now on says just what it is told: 1,000 J to begin with."""
    meter = find_one(host)
    fake.say(step0=None, energy0=1_000_000)
    # What it said while it was found to move is forgotten by a counter that starts anew.
    meter.read()
    return meter


def test_the_energy_counter(fake_nvml: FakeDriver, host: Host) -> None:
    meter = counter(fake_nvml, host)
    before = meter.read()
    fake_nvml.say(energy0=1_012_345)
    host.sleep(1.0)
    after = meter.read()
    assert after.joules - before.joules == pytest.approx(12.345)
    assert after.kind is Kind.MEASURED
    assert after.why == ""
    assert after.breaks == before.breaks
    assert after.time_ns == host.now_ns()
    assert (after.period_s, after.resolution_j) == (0.1, 1e-3)
    meter.close()


def test_a_meter_says_what_it_is_of(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(gpus=2, energy1=5, step1=20)
    found = find(host)
    assert [(meter.name, meter.device, meter.part_of) for meter in found.meters] == [
        ("nvml/0", "gpu0", ""),
        ("nvml/1", "gpu1", ""),
    ]
    assert {meter.covers for meter in found.meters} == {("gpu", "gpu_memory")}
    assert {meter.fake for meter in found.meters} == {"fake driver: FAKE GPU (test)"}
    for meter in found.meters:
        meter.close()


def test_a_counter_that_does_not_advance_is_no_meter_and_power_is_used(
    fake_nvml: FakeDriver, host: Host
) -> None:
    fake_nvml.say(step0=None, power0=100_000)
    meter = find_one(host)
    for _ in range(10):
        host.sleep(0.1)
        reading = meter.read()
    assert reading.joules == pytest.approx(100.0)
    assert reading.period_s == 1.0
    meter.close()


def test_power_at_the_instant_goes_before_the_average(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(energy0=None, power0=100_000, instant0=200_000)
    meter = find_one(host)
    host.sleep(0.5)
    fake_nvml.say(instant0=300_000)
    reading = meter.read()
    assert reading.joules == pytest.approx(125.0)
    assert reading.kind is Kind.MEASURED
    assert reading.period_s == 0.1
    meter.close()


def test_power_at_the_instant_that_reads_nothing_is_not_used(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(energy0=None, power0=100_000, instant0=0)
    meter = find_one(host)
    host.sleep(1.0)
    assert meter.read().joules == pytest.approx(100.0)
    meter.close()


def test_power_seen_long_ago_says_nothing_about_the_time_since(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(energy0=None, power0=100_000)
    meter = find_one(host)
    host.sleep(60.0)
    assert (meter.read().joules, meter.read().breaks) == (0.0, 1)
    host.sleep(1.0)
    assert meter.read().joules == pytest.approx(100.0)
    meter.close()


def test_a_long_time_between_readings_of_the_counter_is_no_break(fake_nvml: FakeDriver, host: Host) -> None:
    meter = counter(fake_nvml, host)
    before = meter.read()
    host.sleep(3600.0)
    fake_nvml.say(energy0=1_360_000)
    after = meter.read()
    assert (after.joules - before.joules, after.breaks - before.breaks) == (pytest.approx(360.0), 0)
    meter.close()


@pytest.mark.parametrize("count_mj", [0, 999_999, 2_000_000_000])
def test_a_counter_that_goes_backwards_or_leaps_begins_anew(
    fake_nvml: FakeDriver, host: Host, count_mj: int
) -> None:
    meter = counter(fake_nvml, host)
    before = meter.read()
    host.sleep(1.0)
    fake_nvml.say(energy0=count_mj)
    after = meter.read()
    assert (after.joules, after.breaks) == (before.joules, before.breaks + 1)
    assert after.kind is Kind.MEASURED
    host.sleep(1.0)
    fake_nvml.say(energy0=count_mj + 5000)
    assert meter.read().joules - before.joules == pytest.approx(5.0)
    meter.close()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"error0": GPU_IS_LOST}, id="lost"),
        pytest.param({"error0": TIMEOUT}, id="timeout"),
        pytest.param({"driver": DRIVER_NOT_LOADED}, id="unloaded"),
        pytest.param({"driver": MISMATCH}, id="updated"),
        pytest.param({"driver": UNKNOWN}, id="access withdrawn"),
    ],
)
@pytest.mark.parametrize("source", ["energy", "power"])
def test_a_gpu_that_goes_and_comes_back(
    fake_nvml: FakeDriver, host: Host, source: str, trouble: dict[str, int]
) -> None:
    if source == "power":
        fake_nvml.say(energy0=None, power0=50_000)
    meter = counter(fake_nvml, host) if source == "energy" else find_one(host)
    before = meter.read()
    fake_nvml.say(**trouble)
    for _ in range(100):
        host.sleep(0.1)
        away = meter.read()
        assert (away.kind, away.joules, away.time_ns) == (Kind.UNAVAILABLE, before.joules, before.time_ns)
        assert "NVIDIA driver" in away.why
    fake_nvml.say(**dict.fromkeys(trouble))
    if source == "energy":
        fake_nvml.say(energy0=500)
    back = away
    for _ in range(400):
        host.sleep(0.1)
        back = meter.read()
        if back.kind is Kind.MEASURED:
            break
    assert (back.kind, back.joules, back.breaks) == (Kind.MEASURED, before.joules, before.breaks + 1)
    host.sleep(1.0)
    if source == "energy":
        fake_nvml.say(energy0=50_500)
    assert meter.read().joules - before.joules == pytest.approx(50.0)
    meter.close()


def test_a_lost_gpu_does_not_take_the_others_along(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(gpus=2, energy1=5, step1=20)
    lost, fine = find(host).meters
    fake_nvml.say(error0=GPU_IS_LOST)
    before = fine.read()
    for _ in range(20):
        host.sleep(0.1)
        assert lost.read().kind is Kind.UNAVAILABLE
        reading = fine.read()
        assert (reading.kind, reading.breaks) == (Kind.MEASURED, before.breaks)
    assert reading.joules > before.joules
    lost.close()
    fine.close()


def test_the_driver_is_not_asked_all_the_time_while_it_is_away(
    fake_nvml: FakeDriver, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pynvml

    meter = counter(fake_nvml, host)
    starts = []
    start = pynvml.nvmlInit
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: (starts.append(host.now_ns()), start()))
    fake_nvml.say(driver=DRIVER_NOT_LOADED)
    for _ in range(6000):
        host.sleep(0.1)
        meter.read()
    assert 10 < len(starts) < 30
    meter.close()


def test_a_gpu_with_neither_energy_nor_power_is_missing_and_says_what_else_there_is(
    fake_nvml: FakeDriver, host: Host
) -> None:
    fake_nvml.say(energy0=None)
    found = find(host)
    assert found.meters == ()
    (missing,) = found.missing
    assert missing.name == "nvml/0"
    assert "Jetson" in missing.why
    fake_nvml.say(power0=0)
    assert "0 W" in find(host).missing[0].why


def test_one_gpu_of_two_measures(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(gpus=2)
    found = find(host)
    assert [meter.name for meter in found.meters] == ["nvml/0"]
    assert [missing.name for missing in found.missing] == ["nvml/1"]
    found.meters[0].close()


def test_the_energy_of_a_divided_gpu_is_that_of_the_whole(fake_nvml: FakeDriver, host: Host) -> None:
    fake_nvml.say(mig0=1)
    meter = counter(fake_nvml, host)
    assert meter.read().kind is Kind.MEASURED
    meter.close()


@pytest.mark.parametrize(
    ("numbers", "words"), [({"driver": DRIVER_NOT_LOADED}, "nvidia-smi"), ({"gpus": 0}, "--gpus all")]
)
def test_a_driver_that_shows_nothing_is_missing(
    fake_nvml: FakeDriver, host: Host, numbers: dict[str, int], words: str
) -> None:
    fake_nvml.say(**numbers)
    found = find(host)
    assert found.meters == ()
    assert [missing.name for missing in found.missing] == ["nvml"]
    assert words in found.missing[0].why


def test_closing_twice_and_finding_again(fake_nvml: FakeDriver, host: Host) -> None:
    meter = find_one(host)
    meter.close()
    meter.close()
    again = find_one(host)
    assert again.read().kind is Kind.MEASURED
    again.close()


PROGRAM = """
from lowlat_nodes.energy.meters import nvml

found = nvml.find()
for missing in found.missing:
    print(missing.name, missing.why)
for meter in found.meters:
    first, second = meter.read(), meter.read()
    print(meter.name, meter.fake, second.kind.value, second.joules > first.joules)
"""


def run(environment: dict[str, str], *options: str) -> str:
    result = subprocess.run(
        [sys.executable, *options, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_another_process_that_finds_the_fake_in_its_library_path(
    fake_nvml_library: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pynvml")
    FakeDriver(tmp_path / "says")
    printed = run({"LD_LIBRARY_PATH": str(fake_nvml_library.parent), "FAKE_NVML": str(tmp_path / "says")})
    assert printed == "nvml/0 fake driver: FAKE GPU (test) measured True\n"


def test_without_nvidia_ml_py_the_meter_is_missing_and_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    printed = run({"PYTHONPATH": path})
    assert printed.startswith("nvml this needs the Python module 'pynvml'")
    assert "lowlat_nodes[energy]" in printed


def test_without_a_driver_the_meter_is_missing() -> None:
    pytest.importorskip("pynvml")
    with contextlib.suppress(OSError):
        ctypes.CDLL("libnvidia-ml.so.1")
        pytest.skip("this machine has a driver")
    assert "libnvidia-ml.so.1 was not found" in run({})
