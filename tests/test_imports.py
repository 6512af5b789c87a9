# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The arrows of DESIGN.md: which part may import which other, and who may import what from outside."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lowlat_nodes"

MAY_IMPORT = {
    "stream": set(),
    "kernels": set(),
    "images": {"stream", "kernels"},
    "resources": {"stream"},
    "transport": {"stream", "resources"},
    "inference": {"stream", "resources", "kernels"},
    "energy": {"stream", "resources"},
    "sim": {"stream", "resources", "alerts"},  # the simulated sky speaks of passbands, classes, light curves
    "control": {"stream", "resources", "images", "inference", "kernels"},
    "vision": {"stream", "resources", "images", "inference", "kernels"},
    "alerts": {"stream", "resources", "inference", "kernels"},
}
"""Part of the package: the other parts that it may import."""

# What stands on top of all that.
BELOW = set(MAY_IMPORT)
TOP = {"nodes", "train", "cli", "benchmarks"}
MAY_IMPORT |= {"nodes": BELOW, "train": BELOW, "cli": BELOW | TOP, "benchmarks": BELOW | TOP}

ROS = re.compile(r"(rclpy|launch|launch_ros|ament_index_python|\w+_(msgs|srvs|interfaces))\Z")
SOCKETS = {"zmq", "confluent_kafka", "websockets", "zenoh"}
OPTIONAL = {
    "torch", "mujoco", "matplotlib", "openvino", "onnx", "confluent_kafka", "peft", "pyarrow", "scipy",
    "skimage", "websockets", "pynvml", "fastavro", "prometheus_client", "sncosmo", "george", "zenoh",
    "iceoryx2", "numba", "triton",
}  # fmt: skip
"""What only an extra brings: importing a module of ours must work without it."""

DISTRIBUTIONS = {
    "confluent_kafka": "confluent-kafka",
    "cv2": "opencv-python-headless",
    "prometheus_client": "prometheus-client",
    "pynvml": "nvidia-ml-py",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
    "zenoh": "eclipse-zenoh",
    "zmq": "pyzmq",
}
"""Import name: what pip calls it, where that differs."""

ROSDEP_KEYS = {
    "cv2": "python3-opencv",
    "lz4": "mcap-ros2-support",
    "mcap": "mcap-ros2-support",
    "onnxruntime": "python3-onnxruntime-pip",
    "rosbags": "python3-rosbags-pip",
    "zstandard": "mcap-ros2-support",
}
"""Import name: the rosdep key that brings it, where that is not python3- and the import name."""

ELSEWHERE = {"lowlat_nodes.control.policies.lerobot_server"}
"""Scripts for another environment: what they import need not be here, and what is ours not there."""

IMPORTED_LATE = re.compile(r"lowlat_nodes\.(kernels\.\w+\..+|benchmarks\._pi0_shape)\Z")
"""Modules that are imported only where what they need was found: implementations by the registry."""

HEAVY = OPTIONAL | {"cv2", "mcap", "onnxruntime", "rclpy", "rosbags", "zmq"}


def _part(name: str) -> str:
    """Return the part of our package that a module belongs to, or nothing."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if package == "lowlat_nodes" else ""


@dataclass(frozen=True)
class Import:
    """One import statement."""

    name: str
    line: int
    when: str  # import: as the module is imported; call: as a function runs; typing: never


@dataclass(frozen=True)
class Module:
    """A module of the package."""

    name: str
    path: Path

    @property
    def part(self) -> str:
        return _part(self.name)

    def imports(self) -> Iterator[Import]:
        yield from _imports(ast.parse(self.path.read_text(encoding="utf-8")), "import")


def _imports(node: ast.AST, when: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, when)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(f"{child.module}.{alias.name}", child.lineno, when)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(ast.Module(child.body, []), "typing")
            yield from _imports(ast.Module(child.orelse, []), when)
        elif when == "import" and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, "call")
        else:
            yield from _imports(child, when)


def _modules() -> list[Module]:
    found = []
    for folder in [PACKAGE, *(path for path in PACKAGE.iterdir() if path.is_symlink())]:
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append(Module(".".join(parts).removesuffix(".__init__"), path))
    return found


MODULES = _modules()


def test_every_part_has_a_rule() -> None:
    assert {module.part for module in MODULES} - {""} <= set(MAY_IMPORT)


def _found(module: Module, found: Import) -> str:
    return f"{module.path.relative_to(ROOT)}:{found.line}: {found.name}"


def test_arrows_point_down() -> None:
    wrong = [
        _found(module, found)
        for module in MODULES
        for found in module.imports()
        if module.part and _part(found.name) in MAY_IMPORT.keys() - MAY_IMPORT[module.part] - {module.part}
    ]
    assert not wrong, "imports against the arrows"


def test_only_nodes_and_the_ros_transport_import_ros() -> None:
    wrong = [
        _found(module, found)
        for module in MODULES
        for found in module.imports()
        if module.part not in {"nodes", "benchmarks"}
        and not module.name.startswith("lowlat_nodes.transport.ros")
        and ROS.match(found.name.split(".")[0])
    ]
    assert not wrong, "imports of ROS"


def test_only_the_transport_imports_sockets() -> None:
    wrong = [
        _found(module, found)
        for module in MODULES
        for found in module.imports()
        if module.part not in {"transport", "benchmarks"} and found.name.split(".")[0] in SOCKETS
    ]
    assert not wrong, "imports of sockets"


def test_scripts_for_another_environment_import_nothing_of_ours() -> None:
    scripts = [module for module in MODULES if module.name in ELSEWHERE]
    assert len(scripts) == len(ELSEWHERE)
    wrong = [
        _found(module, found)
        for module in MODULES
        for found in module.imports()
        if found.name.startswith("lowlat_nodes" if module.name in ELSEWHERE else tuple(ELSEWHERE))
    ]
    assert not wrong, "imports of ours there, or of theirs here"


def test_optional_libraries_are_imported_where_they_are_used() -> None:
    """Except in train, whose entries check for torch before they import the rest."""
    wrong = [
        _found(module, found)
        for module in MODULES
        for found in module.imports()
        if module.part != "train"
        and not IMPORTED_LATE.match(module.name)
        and found.when == "import"
        and found.name.split(".")[0] in OPTIONAL
    ]
    assert not wrong, "imports of what may not be installed, at import"


def _outside() -> dict[str, str]:
    """Return each module from outside that the package needs, now or later, and one place that imports it."""
    needed = {}
    for module in MODULES:
        if module.name in ELSEWHERE:
            continue
        for found in module.imports():
            name = found.name.split(".")[0]
            known = name in sys.stdlib_module_names | {"lowlat_nodes", "__future__"}
            if found.when != "typing" and not known:
                needed[name] = _found(module, found)
    return needed


def test_pip_brings_whatever_is_imported() -> None:
    requirements = importlib.metadata.requires("lowlat_nodes") or []
    declared = {re.split(r"[<>=!;~ \[]", line)[0].lower().replace("_", "-") for line in requirements}
    missing = [
        place
        for name, place in _outside().items()
        if not ROS.match(name) and DISTRIBUTIONS.get(name, name).lower().replace("_", "-") not in declared
    ]
    assert not missing


def _brought_by(extra: str) -> set[str]:
    """Return what pip installs for an extra of the package, or without one."""
    found = set()
    for line in importlib.metadata.requires("lowlat_nodes") or []:
        requirement, _, marker = line.partition(";")
        if not marker or f'extra == "{extra}"' in marker.replace("'", '"'):
            found.add(re.split(r"[<>=!~ \[]", requirement)[0].lower().replace("_", "-"))
    return found


def _missing_extras() -> Iterator[tuple[str, list[str], str]]:
    """Yield each place that says what to install, the modules that it names, and the extra."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "MissingExtra":
                first, *rest = [*node.args, *(keyword.value for keyword in node.keywords)]
                words = [item.value for item in ast.walk(first) if isinstance(item, ast.Constant)]
                modules = [re.split("[<>=]", word)[0] for word in words]  # a version may follow
                extra = rest[0].value if rest and isinstance(rest[0], ast.Constant) else None
                if extra is not None or not rest:
                    yield f"{module.name}:{node.lineno}", modules, extra or ""


def test_what_an_error_says_to_install_brings_the_module() -> None:
    extras = set(importlib.metadata.metadata("lowlat_nodes").get_all("Provides-Extra") or [])
    places = list(_missing_extras())
    assert places
    assert {extra for _, _, extra in places} <= extras | {""}
    wrong = [
        place
        for place, modules, extra in places
        for name in modules
        if not any(
            DISTRIBUTIONS.get(name, name).lower() == brought or brought.endswith(f"-{name}")
            for brought in _brought_by(extra)
        )
    ]
    assert not wrong


def test_rosdep_brings_whatever_is_imported() -> None:
    manifest = (ROOT / "package.xml").read_text(encoding="utf-8")
    declared = set(re.findall(r"<exec_depend>(.+)</exec_depend>", manifest))
    missing = [
        place
        for name, place in _outside().items()
        if name not in OPTIONAL
        and ROSDEP_KEYS.get(name, name if ROS.match(name) else f"python3-{name}") not in declared
    ]
    assert not missing


def _loaded(*names: str) -> set[str]:
    """Return the top-level modules that importing `names` brings into a fresh interpreter."""
    program = f"import sys, {', '.join(names)}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {name for name in result.stdout.split() if "." not in name}


def test_the_core_imports_nothing_heavy() -> None:
    loaded = _loaded(*(module.name for module in MODULES if module.part in {"stream", "control"}))
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_declaring_the_operations_imports_none_of_their_implementations() -> None:
    packages = {
        module.name for module in MODULES if module.part == "kernels" and module.path.stem == "__init__"
    }
    assert packages
    assert not _loaded(*packages) & HEAVY


def test_the_command_answers_before_anything_is_imported() -> None:
    assert not _loaded("lowlat_nodes.cli.main") & (HEAVY | {"numpy"})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", [("a.b", "import")]),
        ("from a import b, c", [("a.b", "import"), ("a.c", "import")]),
        ("def f():\n  import a", [("a", "call")]),
        ("class C:\n  import a", [("a", "import")]),
        ("try:\n  import a\nexcept ImportError:\n  import b", [("a", "import"), ("b", "import")]),
        ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", [("a", "typing"), ("b", "import")]),
    ],
)
def test_the_reader_of_imports(source: str, expected: list[tuple[str, str]]) -> None:
    assert [(found.name, found.when) for found in _imports(ast.parse(source), "import")] == expected
