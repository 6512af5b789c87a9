# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One graph with its buffers: copies in, replay, copies out, on two streams.

    pinned memory --> staging --+
    pinned memory --> staging --+--> inputs --> graph --> outputs --> pinned memory
          stream of copies                 stream of the graph

There are two slots of pinned memory and staging, so that the inputs of the next run are on their way while
the graph still works on those of this one. Events order the streams: a graph waits for the copy of its
inputs, a copy waits until the staging that it writes to was read, and the host waits for what reads its
memory.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.arena import Layout, tensor_of, write
from lowlat_nodes.kernels.graphed.capture import NO_CAPTURE, Captured
from lowlat_nodes.kernels.graphed.inputs import Array, Input
from lowlat_nodes.kernels.graphed.outputs import Outputs
from lowlat_nodes.kernels.graphed.pending import Made, Pending, Times

SLOTS = 2
"""Runs in flight; the next one waits for the oldest."""


class StaticInputs:
    """The memory that a graph reads its inputs from.

    Args:
        inputs: Those that go to the device.
        sizes: Of their axes, padded.
        device: Where.

    Attributes:
        memory: All of them.
        views: Each of them.
    """

    def __init__(self, inputs: Mapping[str, Input], sizes: Mapping[str, int], device: Any) -> None:
        self.inputs = dict(inputs)
        self.layout = Layout(
            {name: (getattr(torch, item.dtype), item.sized(sizes)) for name, item in inputs.items()}
        )
        self.memory = torch.zeros(self.layout.size, dtype=torch.uint8, device=device)
        self.views = self.layout.views(self.memory)

    def write(self, given: Mapping[str, Array]) -> None:
        """Copy arrays there, and wait until they are."""
        for name, item in self.inputs.items():
            write(self.views[name], tensor_of(given[name]), item.fill)
        torch.cuda.current_stream(self.memory.device).synchronize()


class _Slot:
    """Buffers and events of one run in flight."""

    def __init__(self, inputs: StaticInputs, captured: Captured) -> None:
        device = inputs.memory.device
        self.given = _pinned(inputs.layout.size)
        self.given_views = inputs.layout.views(self.given)
        self.staging = torch.zeros(inputs.layout.size, dtype=torch.uint8, device=device)
        self.staging_views = inputs.layout.views(self.staging)
        self.made = _pinned(captured.layout.size)
        self.made_views = captured.layout.views(self.made)
        self.copied, self.read = torch.cuda.Event(), torch.cuda.Event()
        self.begun, self.ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.finished = torch.cuda.Event(blocking=True)
        self.pending: weakref.ref[Pending] | None = None

    def free(self) -> None:
        """Wait until the host may write to the inputs and forget the outputs."""
        pending = self.pending() if self.pending else None
        if pending is not None:
            pending.fetch()
        self.copied.synchronize()


def _pinned(size: int) -> Tensor:
    """Return memory of the host that a GPU copies from and to by itself, whatever device is the default."""
    memory: Tensor = torch.zeros(size, dtype=torch.uint8, device="cpu", pin_memory=True)
    return memory


class Replay:
    """Runs a function that was captured.

    Args:
        captured: The graph.
        inputs: What it reads.
        outputs: How what it makes is cut back.
        stream: Where it was captured, and runs.
        copies: The stream of copies from the host.
    """

    def __init__(
        self, captured: Captured, inputs: StaticInputs, outputs: Outputs, *, stream: Any, copies: Any
    ) -> None:
        self._captured = captured
        self._inputs = inputs
        self._outputs = outputs
        self._stream = stream
        self._copies = copies
        self._slots = [_Slot(inputs, captured) for _ in range(SLOTS)]
        self._next = 0
        current = torch.cuda.current_stream(stream.device)  # which set all that to zero
        stream.wait_stream(current)
        copies.wait_stream(current)

    def submit(self, given: Mapping[str, Array], sizes: Mapping[str, int], times: Times) -> Pending:
        """Copy the inputs and launch the graph; return while it runs.

        Args:
            given: The inputs, checked.
            sizes: Of their axes, as given.
            times: Where to write down what the run took.

        Raises:
            BadArgument: If one lies on another GPU.
        """
        slot = self._slots[self._next]
        self._next = (self._next + 1) % SLOTS
        slot.free()
        callers = torch.cuda.current_stream(self._stream.device)
        with torch.inference_mode():
            begun_ns = time.perf_counter_ns()
            on_device = self._write(slot, given)
            staged_ns = time.perf_counter_ns()
            with torch.cuda.stream(self._copies):
                self._copies.wait_event(slot.read)
                if len(on_device) < len(self._inputs.inputs):
                    slot.staging.copy_(slot.given, non_blocking=True)
                if on_device:
                    self._copies.wait_stream(callers)
                for name, tensor in on_device.items():
                    write(slot.staging_views[name], tensor, self._inputs.inputs[name].fill)
                    tensor.record_stream(self._copies)
                slot.copied.record()
            if on_device:
                callers.wait_event(slot.copied)  # before it writes to them again
            with torch.cuda.stream(self._stream):
                self._stream.wait_event(slot.copied)
                slot.begun.record()
                self._inputs.memory.copy_(slot.staging, non_blocking=True)
                slot.read.record()
                with NO_CAPTURE:
                    self._captured.graph.replay()
                slot.ended.record()
                slot.made.copy_(self._captured.memory, non_blocking=True)
                slot.finished.record()
        times.submit_us = (time.perf_counter_ns() - staged_ns) / 1e3
        times.stage_us += (staged_ns - begun_ns) / 1e3

        def fetch() -> Made:
            slot.finished.synchronize()
            times.device_us = slot.begun.elapsed_time(slot.ended) * 1e3
            return self._outputs.cut(slot.made_views, sizes)

        pending = Pending(fetch, slot.finished.query)
        slot.pending = weakref.ref(pending)
        return pending

    def close(self) -> None:
        """Wait until nothing runs, keep the results that somebody waits for, and free the graph."""
        for slot in self._slots:
            slot.free()
        self._stream.synchronize()
        self._captured.graph.reset()
        self._slots.clear()

    def _write(self, slot: _Slot, given: Mapping[str, Array]) -> dict[str, Tensor]:
        """Write what lies on the host to pinned memory, and return what lies on the device."""
        on_device, device = {}, self._stream.device
        for name, item in self._inputs.inputs.items():
            array = given[name]
            if isinstance(array, Tensor) and array.is_cuda:
                if array.device != device:
                    raise BadArgument(
                        f"{name}: expected it on {device} or the host, got it on {array.device}"
                    )
                on_device[name] = array
            else:
                write(slot.given_views[name], array, item.fill)
        return on_device
