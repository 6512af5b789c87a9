# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What decides how fast a model runs here, besides the model."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "openvino", "torch")

# Two processors of one name may differ in their vector units; a hypervisor masks some.
_IDENTITY = frozenset(
    {
        "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
        "CPU implementer", "CPU variant", "CPU part", "CPU revision", "Features",
    }
)  # fmt: skip


def describe() -> dict[str, str]:
    """Return processor, cores that this process may use, graphics cards and library versions, by name."""
    found = {
        "processor": "\n".join(sorted(set(_processor_lines()))) or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "graphics": "\n".join(_graphics()),
    }
    return found | {name: version(name) for name in LIBRARIES}


def processor_name() -> str:
    """Return the processor's name; /proc/cpuinfo has it on x86, on ARM only the architecture is told."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def version(distribution: str) -> str:
    """Return the version of an installed distribution, nothing if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor_lines() -> list[str]:
    pairs = (line.partition(":") for line in _cpuinfo())
    return [f"{name.strip()}: {value.strip()}" for name, _, value in pairs if name.strip() in _IDENTITY]


def _cpuinfo() -> list[str]:
    return _lines(Path("/proc/cpuinfo"))


def _graphics() -> list[str]:
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [line for card in cards for line in _lines(card) if line.startswith("Model")]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
