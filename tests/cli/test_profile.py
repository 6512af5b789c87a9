# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat profile`: on the CPU for real, and on traces of a GPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.main import main as lowlat
from lowlat_nodes.cli.profile import main
from lowlat_nodes.inference.launches.marks import unprofiled_mark
from lowlat_nodes.stream.errors import ConfigurationError

sys.path.insert(0, str(Path(__file__).parents[1] / "inference" / "launches"))

from simulated_gpu import SimulatedGpu, sweep

FEW = ("--inferences", "2")


def plain(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_trace_of_several_batch_sizes_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sweep([1, 2, 4, 8, 16, 32], base_us=2.0, per_item_us=0.8).write(tmp_path / "trace.json")
    assert main(["--trace", str(path)]) == 0
    head, _, names, *rest = capsys.readouterr().out.splitlines()
    assert head == "trace.json: per inference, medians in µs"
    assert names.split()[:6] == ["batch", "launches", "graphs", "kernels", "copies", "TKLQT"]
    assert [row.split()[0] for row in rest[:6]] == ["1", "2", "4", "8", "16", "32"]
    assert rest[0].split()[1:6] == ["20", "0", "20", "0", "110"]
    assert rest[7] == "kernels that take most at batch size 1 (mean of 3):"
    assert rest[8].split() == ["56.0", "20", "x", "gemm"]
    assert rest[-2].startswith("CPU-bound up to a batch size of about 10")
    found = plain(capsys, "--trace", str(path))
    assert found["verdict"]["bound"] == "turns"
    assert found["verdict"]["turn"] == pytest.approx(10.0, rel=0.1)
    assert found["verdict"]["by_batch"] == dict.fromkeys("1248", "cpu") | {"16": "gpu", "32": "gpu"}
    assert [each["batch"] for each in found["launches"]] == [1, 2, 4, 8, 16, 32]
    assert found["launches"][0]["launch_us"] == pytest.approx(5.5)


def test_what_is_missing_in_a_trace_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu = SimulatedGpu()
    for _ in range(9):
        gpu.launch(1.0)
    early, orphan = [event for event in gpu.events if event["cat"] == "kernel"][:2]
    early["ts"] -= 9.0
    orphan["args"]["correlation"] = 9
    gpu.events += [{"ph": "X", "cat": "kernel", "name": "gemm", "ts": "now"}]
    text = gpu.write(tmp_path / "trace.json").read_text(encoding="utf-8")
    (tmp_path / "trace.json").write_text(text[: text.index('], "traceName"')], encoding="utf-8")
    assert main(["--trace", str(tmp_path / "trace.json")]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")] == [
        "note: the trace ends in the middle; what is missing is not counted",
        "note: 1 launches without kernels in the trace, as of captures, are not counted",
        "note: 1 kernels and copies without their launch in the trace are not counted",
        "note: 1 events could not be read",
        "note: 1 kernels began before their launch: host and device clocks differ",
    ]


def test_names_in_a_trace_do_not_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = SimulatedGpu()
    gpu.launch(1.0, name="\x1b[2Jgemm\n" + "x" * 500)
    assert main(["--trace", str(gpu.write(tmp_path / "trace.json"))]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 130


def test_a_policy_on_the_cpu_launches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "trace.json.gz"
    found = plain(
        capsys, "--policy", "reach_flow", "--batch", "2", "1", *FEW, "--top", "99", "--out", str(kept)
    )
    assert found["name"] == "policy reach_flow on cpu"
    assert found["verdict"]["text"] == "no GPU: nothing is launched"
    assert found["launches"] == []
    assert [(each["batch"], each["inferences"]) for each in found["operators"]] == [(1, 2), (2, 2)]
    first = found["operators"][0]
    assert first["operator_us"] + first["outside_us"] == pytest.approx(first["latency_us"])
    assert {"Conv", "Gemm"} <= {cost["name"] for cost in first["costliest"]}
    assert first["unprofiled_us"] > 0.0
    again = plain(capsys, "--trace", str(kept), "--top", "99")
    assert again["operators"] == found["operators"]
    assert main(["--trace", str(kept)]) == 0
    out = capsys.readouterr().out
    assert "operators that take most at batch size 1 (mean of 2):" in out
    assert "no GPU: nothing is launched." in out


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_torchscript_policy_is_profiled_by_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    from lowlat_nodes.inference.torchscript import save

    class Policy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 6)

        def forward(self, state: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.layer(state)).reshape(-1, 3, 2)

    path = tmp_path / "policy.pt"
    metadata = {"action_dt_ns": "50000000", "action_kind": "absolute", "state_layout": "position"}
    save(torch.jit.script(Policy().eval()), path, {"state": torch.zeros(1, 2)}, metadata)
    found = plain(capsys, "--policy", str(path), *FEW)
    assert found["verdict"]["bound"] == "none"
    assert [each["batch"] for each in found["operators"]] == [1]
    assert "aten::addmm" in {cost["name"] for cost in found["operators"][0]["costliest"]}
    with pytest.raises(ConfigurationError, match="takes 1 at a time, got 4; export it with an open batch"):
        main(["--policy", str(path), "--batch", "4"])


@pytest.mark.torch
def test_a_policy_of_ones_own_is_profiled_by_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "own_policy.py").write_text(OWN_POLICY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("--policy", "own", "-p", "kind:=python", "-p", "factory:=own_policy:Policy")
    found = plain(capsys, *arguments, *FEW, "--top", "99")
    assert "aten::tanh" in {cost["name"] for cost in found["operators"][0]["costliest"]}
    with pytest.raises(ConfigurationError, match="policy own takes 1 at a time, got 2"):
        main([*arguments, "--batch", "2"])


OWN_POLICY = """
import torch
from lowlat_nodes.control.policies.policy import PolicySpec

class Policy:
    spec = PolicySpec((), ("position",), {}, False, 2, 50_000_000, (False, False))

    def __init__(self, config):
        self.config = config

    def infer(self, observation):
        state = torch.from_numpy(observation.state).double()
        return torch.tanh(state).repeat(2, 1).numpy()
"""


@pytest.mark.parametrize(
    ("arguments", "name", "operator"),
    [
        (["--detector", "shapes", "--batch", "1"], "detector shapes on cpu", "Conv"),
        (["--alerts", "--batch", "1", "2"], "alerts tokens on cpu", "MatMul"),
        (["--alerts", "t2", "--batch", "3"], "alerts t2 on cpu", "MatMul"),
    ],
)
def test_detectors_and_classifiers_are_profiled(
    arguments: list[str], name: str, operator: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = plain(capsys, *arguments, *FEW, "--top", "99")
    assert found["name"] == name
    assert operator in {cost["name"] for cost in found["operators"][0]["costliest"]}


def test_what_cannot_be_profiled_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "model.xml"
    for arguments, said in (
        (["--trace", "/nowhere/trace.json"], "expected a trace file, cannot read"),
        (["--detector", "shapes", "--batch", "2"], "takes 1 at a time, got 2"),
        (["--alerts", "shapes"], "expected a model of alerts"),
        (["--policy", str(other)], "expected an .onnx or .pt file"),
        (["--detector", "shapes", "-p", "steps:=3"], "-p: expected with --policy"),
        (["--trace", "trace.json", "--batch", "2", "--out", "a"], "--batch, --out: expected a model"),
        (["--alerts", "--out", "/nowhere/trace.json"], "expected a file in a folder that there is"),
        (["--policy", "none", "-p", "kind:=remote"], "policy.remote.address must be given"),
        (["--policy", "reach_flow", "-p", "stepz:=3"], "did you mean"),
    ):
        assert lowlat(["profile", *arguments]) == 2, arguments
        assert said in capsys.readouterr().err


def operators(unprofiled_us: float | None) -> SimulatedGpu:
    """Return an inference of 40 µs in an operator and 10 around it, while it is profiled."""
    host = SimulatedGpu()
    with host.inference(1):
        host.now_us += 5.0
        with host.operator("addmm"):
            host.now_us += 39.0
        host.now_us += 4.0
    if unprofiled_us is not None:
        with host.operator(unprofiled_mark(1, unprofiled_us), "user_annotation"):
            pass
    return host


@pytest.mark.parametrize(
    ("unprofiled_us", "slower", "outside"),
    [
        (None, "", "Outside of operators at batch size 1: 10.0 of 50.0 µs, for"),
        (49.0, "", "Outside of operators at batch size 1: 9.0 to 10.0 of 49.0 µs, for"),
        (38.0, "1.3", "Outside of operators at batch size 1: 0.0 to 10.0 of 38.0 µs, for"),
        (
            8.0,
            "6.2",
            "How much of it at batch size 1 is outside of operators, the profiler is too slow to tell.",
        ),
    ],
)
def test_what_the_profiler_itself_takes_is_said(
    unprofiled_us: float | None, slower: str, outside: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--trace", str(operators(unprofiled_us).write(tmp_path / "trace.json"))]) == 0
    *_, before, _, _, last = capsys.readouterr().out.splitlines()
    assert last.startswith(outside)
    assert before.startswith(f"note: the profiler makes inferences up to {slower} times as long") == bool(
        slower
    )
