# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a process of small messages asks of Fast DDS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.transport import segments
from lowlat_nodes.transport.ros.process import prepare_control_process, prepare_process
from lowlat_nodes.transport.segments import PROFILE_VARIABLES

PROGRAM = """
import sys
from pathlib import Path
import rclpy
from lowlat_nodes.transport.ros.process import prepare_control_process, prepare_process
(prepare_control_process if sys.argv[1] == "control" else prepare_process)()
rclpy.init(args=[])
node = rclpy.create_node("mapped")
print("/dev/shm/fast" in Path("/proc/self/maps").read_text())
"""


def profile() -> str:
    names = {Path(os.environ.get(name, "")).name for name in PROFILE_VARIABLES}
    assert len(names) == 1
    return names.pop()


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    monkeypatch.setattr(segments, "is_small", lambda _folder: False)


def test_the_profile_for_large_messages_gives_way() -> None:
    prepare_process()
    assert profile() == "fastdds_shm.xml"
    prepare_control_process()
    assert profile() == "fastdds_udp.xml"


def test_on_one_machine_the_range_is_part_of_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    prepare_control_process()
    assert profile() == "fastdds_udp_localhost.xml"
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"


def test_another_middleware_keeps_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    before = dict(os.environ)
    prepare_process()
    prepare_control_process()
    assert os.environ == before


def test_a_small_memory_gets_small_segments_and_a_remark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segments, "is_small", lambda _folder: True)
    prepare_process()
    assert profile() == "fastdds_shm_small.xml"
    assert "--shm-size=1g" in capsys.readouterr().err
    prepare_process()  # a choice by now
    assert capsys.readouterr().err == ""
    prepare_control_process()
    assert profile() == "fastdds_udp.xml"


@pytest.mark.parametrize("name", [*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS"])
def test_what_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "chosen")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    before = dict(os.environ)
    prepare_control_process()
    assert os.environ == before


@pytest.mark.ros
@pytest.mark.parametrize("discovery", ["LOCALHOST", "OFF"])
@pytest.mark.parametrize(("kind", "mapped"), [("control", "False"), ("large", "True")])
def test_shared_memory_is_mapped_for_large_messages_only(discovery: str, kind: str, mapped: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind],
        env=os.environ | {"ROS_AUTOMATIC_DISCOVERY_RANGE": discovery},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split()[-1:] == [mapped], done.stderr  # after what Fast DDS logs


@pytest.mark.parametrize("prepare", ["prepare_process", "prepare_control_process"])
def test_standard_output_has_what_is_printed_and_nothing_else(prepare: str) -> None:
    program = f"""
import os
from lowlat_nodes.transport.ros.process import {prepare}
print("before")
{prepare}()
{prepare}()
os.write(1, b"a log of the middleware\\n")
print("result")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nresult\n"
    assert "a log of the middleware" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_stays_as_buffered_as_it_was(unbuffered: str) -> None:
    program = """
import os, sys
from lowlat_nodes.transport.ros.process import prepare_process
prepare_process()
print("said")
os._exit(0)  # what is buffered is lost
"""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == ("said\n" if unbuffered else "")
