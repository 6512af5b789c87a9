# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A function run operator by operator: on the CPU, and on a GPU where it is no graph."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lowlat_nodes.kernels.graphed.arena import tensor_of, write
from lowlat_nodes.kernels.graphed.capture import Function
from lowlat_nodes.kernels.graphed.inputs import Array, Inputs
from lowlat_nodes.kernels.graphed.outputs import Outputs
from lowlat_nodes.kernels.graphed.pending import Pending, Times, named, ready


class Eager:
    """Runs a function at once.

    Args:
        function: What to run.
        inputs: What it takes.
        outputs: How what it returns is cut back.
        device: Where it runs.
        stream: On a GPU: where on it.
    """

    def __init__(
        self, function: Function, inputs: Inputs, outputs: Outputs, *, device: Any, stream: Any = None
    ) -> None:
        self._function = function
        self._inputs = inputs
        self._outputs = outputs
        self._device = device
        self._stream = stream
        self._dtypes = {name: getattr(torch, item.dtype) for name, item in inputs.declared.items()}

    def submit(
        self, given: Mapping[str, Array], sizes: Mapping[str, int], padded: Mapping[str, int], times: Times
    ) -> Pending:
        """Run the function; what is pending is there already.

        Args:
            given: The inputs, checked.
            sizes: Of their axes, as given.
            padded: Of their axes, as the function shall see them.
            times: Where to write down what the run took.
        """
        if self._stream is None:
            begun_ns = time.perf_counter_ns()
            with torch.inference_mode():
                feed = {name: self._padded(name, given[name], padded) for name in self._dtypes}
                staged_ns = time.perf_counter_ns()
                made = named(self._function(feed))
                times.device_us = (time.perf_counter_ns() - staged_ns) / 1e3
            times.stage_us += (staged_ns - begun_ns) / 1e3
            times.submit_us = 0.0
        else:
            made = self._on_gpu(given, padded, times)
        self._outputs.check(made, padded)
        return ready(self._outputs.cut(made, sizes))

    def _on_gpu(
        self, given: Mapping[str, Array], padded: Mapping[str, int], times: Times
    ) -> Mapping[str, Tensor]:
        begun_ns = time.perf_counter_ns()
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream), torch.inference_mode():
            feed = {name: self._padded(name, given[name], padded) for name in self._dtypes}
            staged_ns = time.perf_counter_ns()
            begun.record()
            made = named(self._function(feed))
            ended.record()
            times.submit_us = (time.perf_counter_ns() - staged_ns) / 1e3
            times.stage_us += (staged_ns - begun_ns) / 1e3
            made = {name: tensor.cpu() for name, tensor in made.items()}
        ended.synchronize()
        times.device_us = begun.elapsed_time(ended) * 1e3
        return made

    def _padded(self, name: str, array: Array, padded: Mapping[str, int]) -> Tensor:
        item = self._inputs.declared[name]
        device = "cpu" if item.on_host else self._device
        tensor, shape = tensor_of(array), item.sized(padded)
        if tuple(tensor.shape) == shape:
            return tensor.to(device)
        larger: Tensor = torch.empty(shape, dtype=self._dtypes[name], device=device)
        write(larger, tensor, item.fill)
        return larger
