# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What pip and colcon install: complete, with its files, and with every dependency declared."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

import lowlat_nodes
from lowlat_nodes.cli import export, main, serve, train

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ET.parse(ROOT / "package.xml").getroot()  # noqa: S314, our own file

SHIPPED = ("launch", "config", "models", "interfaces")
NOT_SHIPPED = ("COLCON_IGNORE", ".pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the source tree, so that nothing is left in the tree itself."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    junk = shutil.ignore_patterns(".*", "build", "dist", "install", "log", "out", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=junk)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    result = subprocess.run([*command, "-w", folder, copy], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (built,) = folder.glob("*.whl")
    return built


def _shipped_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in SHIPPED
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not path.name.endswith(NOT_SHIPPED)
    }


def test_the_wheel_holds_the_whole_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = (path for path in (ROOT / "lowlat_nodes").rglob("*") if path.is_file())
    files = (path for path in files if path.suffix not in {".c", ".so", ".pyc"})
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    for linked in ("kernels", "benchmarks"):
        expected |= {f"lowlat_nodes/{path.relative_to(ROOT)}" for path in (ROOT / linked).rglob("*.py")}
    assert expected <= names
    assert "lowlat_nodes/kernels/__init__.py" in names
    assert not [name for name in names if name.startswith(("tests/", "interfaces/", "kernels/", "release/"))]


def test_the_wheel_holds_every_shipped_file(wheel: Path) -> None:
    share = f"lowlat_nodes-{lowlat_nodes.__version__}.data/data/share"
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"{share}/lowlat_nodes/{name}" for name in _shipped_files()}
    expected |= {
        f"{share}/lowlat_nodes/package.xml",
        f"{share}/ament_index/resource_index/packages/lowlat_nodes",
    }
    assert expected <= names


def test_an_installed_copy_finds_its_files(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, wheel]
    subprocess.run(command, check=True)
    program = (
        "import lowlat_nodes.kernels; from lowlat_nodes import resources; "
        "from lowlat_nodes.cli import bench; "
        "print(resources.path('config', 'fastdds_shm.xml'), *bench.benchmarks().table)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    profile, *benchmarks = result.stdout.split()
    assert profile == str(tmp_path / "share" / "lowlat_nodes" / "config" / "fastdds_shm.xml")
    assert set(benchmarks) == {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}


def test_every_command_and_executable_exists() -> None:
    modules = [
        command.module
        for table in (main.COMMANDS, export.KINDS, serve.KINDS, train.MODELS)
        for command in table.table.values()
    ]
    modules += [
        entry.module
        for entry in importlib.metadata.distribution("lowlat_nodes").entry_points
        if entry.group == "console_scripts"
    ]
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        assert spec.origin is not None, module
        body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
        names = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        names |= {alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert "main" in names, module


def test_one_version() -> None:
    assert MANIFEST.findtext("version") == lowlat_nodes.__version__
    assert importlib.metadata.version("lowlat_nodes") == lowlat_nodes.__version__


KEYS = {
    "cv2": "python3-opencv",
    "lz4": "mcap-ros2-support",
    "mcap": "mcap-ros2-support",
    "msgpack": "python3-msgpack",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "yaml": "python3-yaml",
    "zmq": "python3-zmq",
    "zstandard": "mcap-ros2-support",
}
"""Module: its rosdep key; each was looked up in rosdistro."""

OPTIONAL = {
    "_typeshed",
    "confluent_kafka",
    "fastavro",
    "iceoryx2",
    "lerobot",
    "matplotlib",
    "mujoco",
    "numba",
    "onnx",
    "openvino",
    "peft",
    "prometheus_client",
    "pyarrow",
    "pynvml",
    "safetensors",
    "skimage",
    "sncosmo",
    "torch",
    "triton",
    "typing_extensions",
    "websockets",
    "zenoh",
}
"""Modules without which the package works; where they are needed, an error names the extra."""


def test_package_xml_declares_what_is_imported() -> None:
    ours = {"lowlat_nodes", *sys.stdlib_module_names}
    imported: set[str] = set()
    files = [
        path for folder in ("lowlat_nodes", "kernels", "launch") for path in (ROOT / folder).rglob("*.py")
    ]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    declared = {item.text for item in MANIFEST if item.tag in {"depend", "exec_depend"}}
    wanted = {KEYS.get(module, module) for module in imported - ours - OPTIONAL}
    assert wanted <= declared
    assert {key for key in declared if key and key.startswith("python3-")} <= set(KEYS.values())


def test_the_changelog_has_this_version_with_a_date() -> None:
    changes = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith(f"{lowlat_nodes.__version__} (20") and line.endswith(")") for line in changes)


def test_colcon_finds_the_executables_where_ros_looks() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["develop"]["script_dir"] == "$base/lib/lowlat_nodes"
    assert setup["install"]["install_scripts"] == "$base/lib/lowlat_nodes"
    assert MANIFEST.findtext("export/build_type") == "ament_python"


def test_colcon_passes_our_copy_of_vision_msgs_by() -> None:
    assert (ROOT / "interfaces" / "COLCON_IGNORE").is_file()


def test_every_file_names_its_licence() -> None:
    folders = [".ci", "benchmarks", "config", "examples", "interfaces", "kernels", "launch"]
    folders += ["lowlat_nodes", "release", "tests"]
    kinds = {".py", ".msg", ".yaml", ".xml", ".txt"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    files += [ROOT / name for name in ("Makefile", "package.xml", "pyproject.toml", "setup.py")]
    lacking = [
        str(path.relative_to(ROOT))
        for path in files
        if "SPDX-License-Identifier: Apache-2.0" not in path.read_text(encoding="utf-8")[:400]
    ]
    assert not lacking
