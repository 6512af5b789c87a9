# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A real GPU, on a machine that has one; in a process of its own, where no fake driver was ever loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed (extra: energy)")

PROGRAM = """
import json, time
from lowlat_nodes.energy.gpu_processes import GpuProcesses
from lowlat_nodes.energy.meters import nvml

found = nvml.find()
processes = GpuProcesses()
first = [meter.read() for meter in found.meters]
time.sleep(3.0)
busy, last = processes.read(), [meter.read() for meter in found.meters]
watts = [(b.joules - a.joules) * 1e9 / (b.time_ns - a.time_ns) for a, b in zip(first, last)]
print(json.dumps({
    "missing": [missing.name for missing in found.missing],
    "fake": [meter.fake for meter in found.meters],
    "kinds": [reading.kind.value for reading in last],
    "watts": watts,
    "processes": len(busy),
    "why": processes.why,
}))
"""


def test_a_gpu_draws_watts() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    print(found)
    if "nvml" in found["missing"]:
        pytest.skip("this machine has no NVIDIA GPU; nothing was tested")
    assert set(found["fake"]) <= {""}
    assert set(found["kinds"]) <= {"measured"}
    assert all(0.5 < watts < 2000.0 for watts in found["watts"])
