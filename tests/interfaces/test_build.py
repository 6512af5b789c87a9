# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When interfaces/build.py builds, and when it leaves alone what is there."""

from __future__ import annotations

import importlib.util
import types
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "interfaces" / "build.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """The script in an environment with the wheels of Jazzy and without vision_msgs, which must not build."""
    spec = importlib.util.spec_from_file_location("build_interfaces", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def build(*_: object) -> None:
        raise module.BuildError("the compiler was started")

    monkeypatch.setattr(module, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(module, "distribution", lambda: "jazzy")
    monkeypatch.setattr(module, "installed_elsewhere", lambda: False)
    monkeypatch.setattr(module, "installed_versions", lambda: ["numpy==2.0.0", "ros-jazzy-rclpy==7.1.6"])
    monkeypatch.setattr(module, "build", build)
    return module


def test_an_installed_package_wins(script: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "installed_elsewhere", lambda: True)
    assert script.main() == 0


def test_a_ros_installation_is_told_what_to_install(
    script: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "distribution", lambda: None)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert script.main() == 0
    assert "apt install ros-jazzy-vision-msgs" in capsys.readouterr().err


def test_what_was_built_from_the_same_is_kept(script: types.ModuleType) -> None:
    script.STAMP.write_text(script.fingerprint(script.installed_versions()) + "\n")
    assert script.main() == 0


@pytest.mark.parametrize("stamp", ["unfinished\n", "another fingerprint\n"])
def test_what_was_built_from_something_else_is_built_again(
    script: types.ModuleType, capsys: pytest.CaptureFixture[str], stamp: str
) -> None:
    script.STAMP.write_text(stamp)
    assert script.main() == 1
    assert "the compiler was started" in capsys.readouterr().err
    assert script.STAMP.read_text() == stamp


def test_other_ros_wheels_change_the_fingerprint(script: types.ModuleType) -> None:
    before = script.fingerprint(["numpy==2.0.0", "ros-rosidl-runtime-c==4.6.6"])
    assert script.fingerprint(["numpy==2.4.0", "ros-rosidl-runtime-c==4.6.6"]) == before
    assert script.fingerprint(["numpy==2.0.0", "ros-rosidl-runtime-c==4.9.0"]) != before


def test_a_missing_compiler_is_named(
    script: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert script.main() == 1
    assert "apt install cmake make g++" in capsys.readouterr().err


def test_the_wheels_headers_are_replaced(
    script: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = tmp_path / "lib/python3.12/site-packages/numpy/_core/include/numpy"
    headers.mkdir(parents=True)
    exported = tmp_path / "share/some_msgs/cmake/export.cmake"
    exported.parent.mkdir(parents=True)
    python = "/opt/python/cp312-cp312"
    numpy = f"{python}/lib/python3.12/site-packages/numpy/_core/include"
    exported.write_text(f'set(a "{numpy};{python}/include/python3.12")\n')
    monkeypatch.setattr(script.sysconfig, "get_path", lambda _: "/usr/include/python3.12")
    script.replace_paths(tmp_path)
    assert exported.read_text() == f'set(a "{headers.parent};/usr/include/python3.12")\n'
