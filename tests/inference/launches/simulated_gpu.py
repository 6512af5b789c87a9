# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A host that launches kernels one by one and a GPU that runs them, as events of the form of Kineto."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowlat_nodes.inference.launches.marks import mark

HOST = 4242
KINDS = {
    "kernel": ("kernel", "cudaLaunchKernel", 211),
    "copy": ("gpu_memcpy", "cudaMemcpyAsync", 41),
    "set": ("gpu_memset", "cudaMemsetAsync", 51),
}


@dataclass
class SimulatedGpu:
    """Launches on streams that run in order; times are µs.

    Attributes:
        call_us: In a launch call.
        pause_us: Between two calls.
        latency_us: From the beginning of a call to that of the kernel on an idle stream.
        now_us: The host's time.
        events: What a profiler would have written.
        tklqt_us: The truth about launches of kernels.
    """

    call_us: float = 4.0
    pause_us: float = 6.0
    latency_us: float = 5.5
    now_us: float = 1_000.25
    events: list[dict[str, Any]] = field(default_factory=list)
    tklqt_us: float = 0.0
    _free_us: dict[int, float] = field(default_factory=dict)
    _correlation: int = 100

    def launch(
        self,
        *lengths_us: float,
        name: str = "gemm",
        kind: str = "kernel",
        stream: int = 7,
        call: str = "",
        category: str = "cuda_runtime",
    ) -> None:
        """Launch a kernel, or several as a graph."""
        device_category, usual, cbid = KINDS[kind]
        self._correlation += 1
        ids = {"External id": self._correlation + 1000, "correlation": self._correlation}
        self._add(category, call or usual, HOST, HOST, self.now_us, self.call_us, {"cbid": cbid, **ids})
        free_us = max(self.now_us + self.latency_us, self._free_us.get(stream, 0.0))
        if kind == "kernel":
            self.tklqt_us += free_us - self.now_us
        for length_us in lengths_us:
            args = {"queued": 0, "device": 0, "context": 1, "stream": stream, **ids, "grid": [8, 1, 1]}
            self._add(device_category, name, 0, stream, free_us, length_us, args)
            free_us += length_us
        self._free_us[stream] = free_us
        self._arrow(ids["correlation"])
        self.now_us += self.call_us + self.pause_us

    def wait(self) -> None:
        """Wait until the GPU has nothing left to do."""
        end_us = max([self.now_us, *self._free_us.values()]) + 1.0
        self._correlation += 1
        self._add(
            "cuda_runtime", "cudaDeviceSynchronize", HOST, HOST, self.now_us, end_us - self.now_us,
            {"cbid": 165, "correlation": self._correlation},
        )  # fmt: skip
        self.now_us = end_us

    @contextlib.contextmanager
    def operator(self, name: str, category: str = "cpu_op", tid: int = HOST) -> Iterator[None]:
        """Make what is launched inside part of an operator or of a marked part of the program."""
        event = self._add(category, name, HOST, tid, self.now_us, 0.0, {"External id": 1})
        self.now_us += 0.5
        yield
        self.now_us += 0.5
        event["dur"] = self.now_us - event["ts"]

    def inference(self, batch: int) -> contextlib.AbstractContextManager[None]:
        """Mark what is launched inside as an inference."""
        return self.operator(mark(batch), "user_annotation")

    def write(self, path: Path) -> Path:
        """Write a trace file with what stands around the events in one."""
        head = {
            "schemaVersion": 1,
            "deviceProperties": [{"id": 0, "name": "Simulated GPU", "numSms": 4}],
            "displayTimeUnit": "ms",
            "baseTimeNanoseconds": 1790857026000000000,
        }
        names = [
            {"ph": "M", "name": "process_name", "pid": HOST, "tid": 0, "ts": 0.0, "args": {"name": "python"}}
        ]
        path.write_text(json.dumps({**head, "traceEvents": [*names, *self.events], "traceName": str(path)}))
        return path

    def _add(
        self,
        category: str,
        name: str,
        pid: int,
        tid: int,
        start_us: float,
        length_us: float,
        args: dict[str, Any],
    ) -> dict[str, Any]:
        times = {"ts": start_us, "dur": length_us}
        event = {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, **times, "args": args}
        self.events.append(event)
        return event

    def _arrow(self, number: int) -> None:
        """Add the arrow that viewers draw from a call to its kernel."""
        for phase, pid in (("s", HOST), ("f", 0)):
            self.events.append(
                {
                    "ph": phase,
                    "id": number,
                    "pid": pid,
                    "tid": 7,
                    "ts": self.now_us,
                    "cat": "ac2g",
                    "name": "ac2g",
                }
            )


def sweep(
    batches: list[int],
    kernels: int = 20,
    *,
    base_us: float = 2.0,
    per_item_us: float = 1.0,
    inferences: int = 3,
) -> SimulatedGpu:
    """Return inferences of several batch sizes, whose kernels take so long per item."""
    gpu = SimulatedGpu()
    for batch in batches:
        for _ in range(inferences):
            with gpu.inference(batch):
                for _ in range(kernels):
                    gpu.launch(base_us + per_item_us * batch)
                gpu.wait()
            gpu.now_us += 50.0
    return gpu
