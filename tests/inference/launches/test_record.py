# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Traces of real inferences on the CPU, by PyTorch's profiler and by ONNX Runtime."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.launches.marks import inferences
from lowlat_nodes.inference.launches.operators import operator_figures
from lowlat_nodes.inference.launches.record import Plan, record_with_onnxruntime, record_with_torch
from lowlat_nodes.inference.launches.trace import read_trace
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError

PAUSE_S = 0.002


@pytest.fixture
def plan() -> Plan:
    """A network of PyTorch after a pause that is no operator."""
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8)).eval()

    def infer(batch: int) -> object:
        time.sleep(PAUSE_S)
        with torch.no_grad():
            return network(torch.ones(batch, 64))

    return Plan(infer, [1, 3], 4)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_operators_of_torch_are_told_from_what_is_around_them(plan: Plan, name: str, tmp_path: Path) -> None:
    record_with_torch(plan, tmp_path / name, cuda=False)
    trace = read_trace(tmp_path / name)
    assert (trace.launches, trace.malformed, trace.complete) == ((), 0, True)
    one, three = operator_figures(trace)
    assert (one.batch, one.inferences, three.batch, three.inferences) == (1, 4, 3, 4)
    assert one.operators == 4  # ones, linear, relu, linear
    assert one.outside_us >= PAUSE_S * 1e6
    assert 0.0 < one.operator_us < one.latency_us
    assert min(one.unprofiled_us, three.unprofiled_us) >= PAUSE_S * 1e6
    counts = {cost.name: cost.count for cost in one.costliest}
    assert counts["aten::addmm"] == 2.0
    assert counts["aten::clamp_min"] == 1.0


@pytest.mark.torch
def test_without_a_gpu_none_is_profiled(plan: Plan, tmp_path: Path) -> None:
    if pytest.importorskip("torch").cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigurationError, match=r"expected a GPU that PyTorch .* can use, it sees none"):
        record_with_torch(plan, tmp_path / "trace.json", cuda=True)


def test_a_missing_torch_is_named_with_the_extra() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from lowlat_nodes.inference.launches.record import Plan, record_with_torch\n"
        "record_with_torch(Plan(print, [1], 1), Path('trace.json'), cuda=False)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "pip install 'lowlat_nodes[torch]'" in result.stderr


def onnx_plan(path: Path, profile: Path) -> tuple[Plan, OnnxModel]:
    model, twin = OnnxModel(path, profile=profile), OnnxModel(path)
    random = np.random.default_rng(3)
    images, size = random.random((1, 3, 12, 20), np.float32), np.array([[7]])

    def infer(of: OnnxModel) -> None:
        time.sleep(PAUSE_S)
        of.run({"images": images, "size": size}, ["scores", "boxes"])

    return Plan(lambda _: infer(model), [1], 5, unprofiled=lambda _: infer(twin)), model


def test_operators_of_onnx_runtime_are_those_of_the_graph(
    network: Callable[..., Path], tmp_path: Path
) -> None:
    path, profile = tmp_path / "trace.json", tmp_path / "profile"
    record_with_onnxruntime(*onnx_plan(network(), profile), path)
    assert not list(tmp_path.glob("profile*"))
    (found,) = operator_figures(read_trace(path))
    assert (found.batch, found.inferences) == (1, 5)
    counts = {cost.name: cost.count for cost in found.costliest}
    assert counts["ReduceMean"] == 1.0
    assert sum(count for name, count in counts.items() if "Conv" in name) == 2.0
    assert found.operators == sum(counts.values())
    assert found.outside_us >= PAUSE_S * 1e6
    assert 0.0 < found.operator_us < found.latency_us
    assert found.unprofiled_us >= PAUSE_S * 1e6
    assert all(len(each.operators) == found.operators for each in inferences(read_trace(path)))
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    assert sum(event["name"] == "model_run" for event in events) == 5 + 3


def test_a_profile_without_the_runs_is_refused(network: Callable[..., Path], tmp_path: Path) -> None:
    _, model = onnx_plan(network(), tmp_path / "profile")
    with pytest.raises(ConfigurationError, match=r"expected 2 runs of network\.onnx .*, found 0"):
        record_with_onnxruntime(Plan(lambda _batch: None, [1], 2), model, tmp_path / "trace.json")
    assert not list(tmp_path.glob("profile*"))
