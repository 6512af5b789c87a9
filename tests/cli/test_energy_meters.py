# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lowlat_nodes.cli.main import main

sys.path.append(str(Path(__file__).parents[1] / "energy" / "meters"))
from fake_sysfs import FakeSysfs


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    return FakeSysfs(tmp_path / "sys")


def _run(sysfs: FakeSysfs, *arguments: str) -> int:
    return main(["energy", "meters", "--root", str(sysfs.root), "--for", "0.5", *arguments])


def test_rails_of_a_board(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    sysfs.agx_orin()
    assert _run(sysfs, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    watts = {each["name"]: each["watts"] for each in result["meters"]}
    assert watts == {
        "ina3221/VDD_GPU_SOC": pytest.approx(6.0),
        "ina3221/VDD_CPU_CV": pytest.approx(2.0),
        "ina3221/VIN_SYS_5V0": pytest.approx(4.0),
        "ina3221/VDDQ_VDD2_1V8AO": pytest.approx(1.0),
        "ina3221/sum": pytest.approx(12.0, rel=0.2),
        "model/cpu": None,
    }
    assert all(each["fake"] == f"fake sysfs at {sysfs.root}" for each in result["meters"])
    assert {each["name"]: each["part_of"] for each in result["meters"]}["ina3221/VDD_CPU_CV"] == "ina3221/sum"


def test_the_table_says_that_a_tree_is_fake(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    sysfs.orin_nx()
    assert _run(sysfs) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"FAKE, nothing here is this machine's: fake sysfs at {sysfs.root}"
    assert lines[2].split()[:7] == ["ina3221/VDD_IN", "module", "measured", "10.00", "W", "9", "ms"]


def test_a_model_is_no_measurement(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(sysfs) == 1
    out = capsys.readouterr().out
    assert "modelled" in out
    assert "Nothing is measured here; what is modelled says so wherever it is shown." in out


def test_a_dead_counter_says_why(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 0)
    assert _run(sysfs) == 1
    out = capsys.readouterr().out
    assert "unavailable" in out
    assert "its counter has not moved once" in out


def test_no_meter_and_no_model(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(sysfs, "--model-w", "0", "--json") == 1
    assert json.loads(capsys.readouterr().out)["meters"] == []
    assert _run(sysfs, "--model-w", "0") == 1
    assert "Nothing is measured here." in capsys.readouterr().out


def test_a_sensor_that_the_user_names(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    sysfs.ina3221(1, "1-0040", {1: ("", 5_000, 2_000)})
    assert _run(sysfs, "--sensor", "ina3221/1-0040/1=board") == 0
    assert "ina3221/1-0040/1  board" in capsys.readouterr().out


def test_a_wrong_setting_is_refused(sysfs: FakeSysfs, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(sysfs, "--sensor", "ina3221/1-0040/1") == 2
    assert "NAME=DEVICE" in capsys.readouterr().err
