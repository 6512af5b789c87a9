# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Launches in traces: who started what, and what is said of events that fit nowhere."""

from __future__ import annotations

import contextlib
import copy
import gzip
import math
import random
from pathlib import Path
from typing import Any

import pytest
from simulated_gpu import HOST, SimulatedGpu

from lowlat_nodes.inference.launches import trace as module
from lowlat_nodes.inference.launches.trace import Trace, read_trace, trace_of
from lowlat_nodes.stream.errors import ConfigurationError


@pytest.fixture
def gpu() -> SimulatedGpu:
    """Three kernels on two streams, a copy, a set, a graph of three kernels, and a wait."""
    gpu = SimulatedGpu()
    with gpu.inference(1), gpu.operator("aten::linear"):
        gpu.launch(3.0, name="HtoD", kind="copy")
        gpu.launch(20.0, name="gemm")
        gpu.launch(5.0, name="relu", stream=13, call="cuLaunchKernelEx", category="cuda_driver")
        gpu.launch(1.0, name="Memset", kind="set")
        gpu.launch(2.0, 3.0, 4.0, name="fused", call="cudaGraphLaunch")
        gpu.wait()
    return gpu


def test_calls_are_paired_with_what_they_started(gpu: SimulatedGpu, tmp_path: Path) -> None:
    trace = read_trace(gpu.write(tmp_path / "trace.json"))
    assert [launch.call.name for launch in trace.launches] == [
        "cudaMemcpyAsync", "cudaLaunchKernel", "cuLaunchKernelEx", "cudaMemsetAsync", "cudaGraphLaunch",
    ]  # fmt: skip
    assert [[work.kind for work in launch.activities] for launch in trace.launches] == [
        ["copy"], ["kernel"], ["kernel"], ["set"], ["kernel"] * 3,
    ]  # fmt: skip
    assert [work.stream for work in trace.launches[2].activities] == [13]
    graph = trace.launches[4].activities
    assert [work.end_us - work.start_us for work in graph] == pytest.approx([2.0, 3.0, 4.0])
    assert [span.name for span in trace.waits] == ["cudaDeviceSynchronize"]
    assert [span.name for span in trace.operators] == ["aten::linear"]
    assert trace.operators[0].thread == (str(HOST), str(HOST))
    assert (trace.lost, trace.orphans, trace.ambiguous, trace.malformed) == (0, 0, 0, 0)
    assert trace.complete
    assert trace_of(gpu.events) == trace


def test_the_order_of_events_does_not_matter(gpu: SimulatedGpu) -> None:
    def plain(trace: Trace) -> list[tuple[Any, ...]]:
        return [
            (launch.call.name, *(work.name for work in launch.activities), *(
                round(work.start_us - launch.call.start_us, 6) for work in launch.activities
            ))
            for launch in trace.launches
        ]  # fmt: skip

    wanted = plain(trace_of(gpu.events))
    shuffled = list(gpu.events)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert plain(trace_of(shuffled)) == wanted


def test_times_since_1970_lose_nothing(gpu: SimulatedGpu) -> None:
    wanted = trace_of(gpu.events)
    later = copy.deepcopy(gpu.events)
    for event in later:
        event["ts"] += 1_712_195_495_505_536.0
    found = trace_of(later)
    for former, after in zip(wanted.launches, found.launches, strict=True):
        assert after.call.end_us - after.call.start_us == former.call.end_us - former.call.start_us
        assert after.activities[0].start_us == pytest.approx(former.activities[0].start_us, abs=0.3)


def test_older_and_other_profilers_name_things_differently(gpu: SimulatedGpu) -> None:
    names = {"cuda_runtime": "Runtime", "cuda_driver": "Runtime", "kernel": "Kernel", "gpu_memcpy": "Memcpy",
             "gpu_memset": "Memset", "cpu_op": "Operator"}  # fmt: skip
    older = [event | {"cat": names.get(event["cat"], event["cat"])} for event in gpu.events]
    assert trace_of(older) == trace_of(gpu.events)
    hip = [event | {"name": event["name"].replace("cuda", "hip")} for event in gpu.events]
    assert [launch.call.name for launch in trace_of(hip).launches][1] == "hipLaunchKernel"
    assert len(trace_of(hip).waits) == 1


def test_missing_partners_are_counted(gpu: SimulatedGpu) -> None:
    without = [event for event in gpu.events if event["name"] not in {"gemm", "cudaMemcpyAsync"}]
    trace = trace_of(without)
    assert (trace.lost, trace.orphans) == (1, 1)
    assert [launch.call.name for launch in trace.launches] == [
        "cuLaunchKernelEx", "cudaMemsetAsync", "cudaGraphLaunch",
    ]  # fmt: skip
    no_id = copy.deepcopy(gpu.events)
    for event in no_id:
        if event["cat"] in {"kernel", "gpu_memcpy"}:
            event["args"].pop("correlation")
    assert trace_of(no_id).orphans == 6


def test_calls_for_functions_of_the_host_are_not_missed() -> None:
    gpu = SimulatedGpu()
    gpu.launch(call="cudaLaunchHostFunc")
    gpu.launch(call="cudaLaunchKernelExC")
    assert trace_of(gpu.events).lost == 1


def test_a_driver_call_inside_a_runtime_call_is_the_same_launch(gpu: SimulatedGpu) -> None:
    outer = next(event for event in gpu.events if event["name"] == "cudaLaunchKernel")
    inner = outer | {"cat": "cuda_driver", "name": "cuLaunchKernel", "ts": outer["ts"] + 1.0, "dur": 2.0}
    for events in ([*gpu.events, inner], [inner, *gpu.events]):
        trace = trace_of(events)
        assert trace.launches[1].call.name == "cudaLaunchKernel"
        assert (trace.ambiguous, trace.lost) == (0, 0)


def test_traces_of_two_processes_in_one_are_not_mixed_up(gpu: SimulatedGpu) -> None:
    other = [event | {"pid": HOST + 1} if event["pid"] == HOST else event for event in gpu.events]
    trace = trace_of([*gpu.events, *other])
    assert trace.launches == ()
    assert (trace.ambiguous, trace.lost) == (14, 0)


KERNEL = {"ph": "X", "cat": "kernel", "ts": 1, "dur": 1}
BAD: list[Any] = [
    # Malformed.
    *(None, 3, "kernel", []),
    {"ph": "X", "cat": "kernel"},
    *(KERNEL | {"ts": ts} for ts in ("1", math.nan, 10**400, True)),
    *(KERNEL | {"dur": dur} for dur in (-1, math.inf, None)),
    # Orphans.
    KERNEL | {"args": [1]},
    KERNEL | {"name": {"a": 1}, "args": {"correlation": "101"}},
    KERNEL | {"args": {"correlation": 1.5, "stream": {}, "device": -9}},
    # Unknown.
    *({"ph": "X", "cat": category, "ts": 1, "dur": 2} for category in (None, ["kernel"], "alien")),
    # Neither.
    *({}, {"ph": 7, "cat": "kernel"}),
    {"ph": "X", "cat": "cuda_runtime", "ts": 1, "dur": 1, "args": {"correlation": 10**400}, "tid": []},
    {"ph": "X", "cat": "cpu_op", "ts": 1, "dur": 1, "name": "n" * 10**6},
]


def test_events_that_make_no_sense_are_counted_and_change_nothing(gpu: SimulatedGpu) -> None:
    wanted, found = trace_of(gpu.events), trace_of([*gpu.events, *BAD])
    assert len(found.launches) == len(wanted.launches)
    assert found.malformed == 12
    assert found.orphans == 3
    assert found.unknown == {"None": 1, "['kernel']": 1, "alien": 1}
    assert max(len(span.name) for span in found.operators) == 512


def test_any_mixture_of_fields_is_read() -> None:
    chosen = random.Random(11)
    values = [
        None,
        True,
        0,
        -1,
        1,
        2.5,
        10**30,
        "",
        "kernel",
        "cuda_runtime",
        "cpu_op",
        "X",
        [],
        {},
        math.inf,
    ]
    keys = ["ph", "cat", "name", "ts", "dur", "pid", "tid", "args"]
    for _ in range(2000):
        event = {key: chosen.choice(values) for key in keys}
        event |= {"ph": "X"} if chosen.random() < 0.9 else {}
        if chosen.random() < 0.5:
            event["args"] = {"correlation": chosen.choice(values), "stream": chosen.choice(values)}
        trace_of([event, event])


def test_a_file_with_broken_bytes_is_read_or_refused(gpu: SimulatedGpu, tmp_path: Path) -> None:
    path = gpu.write(tmp_path / "trace.json")
    whole, chosen = path.read_bytes(), random.Random(23)
    for content in (whole, gzip.compress(whole)):
        for _ in range(150):
            broken = bytearray(content)
            for _ in range(chosen.choice([1, 5, 50])):
                broken[chosen.randrange(len(broken))] = chosen.randrange(256)
            path.write_bytes(broken[: chosen.randrange(1, len(broken) + 1)])
            with contextlib.suppress(ConfigurationError):
                trace = read_trace(path)
                assert len(trace.launches) <= 6  # calls
                assert len(trace.activities) <= 7


def test_too_many_events_are_refused(gpu: SimulatedGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 10)
    with pytest.raises(ConfigurationError, match="expected at most 10 calls, kernels and operators"):
        trace_of(gpu.events)
