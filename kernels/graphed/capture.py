# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A function on the GPU as one CUDA graph: warm-up, capture, and what a capture that broke left behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from lowlat_nodes.kernels.graphed.arena import Layout
from lowlat_nodes.kernels.graphed.inspection import waits
from lowlat_nodes.kernels.graphed.pending import named

Function: TypeAlias = Callable[[Mapping[str, Tensor]], Tensor | Mapping[str, Tensor]]
"""A policy: named tensors in, one tensor or named ones out."""

_WARM_UPS = 3
"""Runs before a capture: modules are loaded, kernels tuned and TorchScript specialised by then."""

BUILDING = threading.RLock()
"""Held while a function is warmed up and captured: both use the state of PyTorch's random numbers."""

NO_CAPTURE = threading.RLock()
"""Held while a function is captured, and while a graph is launched: older PyTorch draws for each launch."""

_BROKEN: list[Any] = []
"""Graphs whose capture broke: PyTorch's allocator may look at them as long as it runs."""


class CaptureFailed(RuntimeError):
    """A function that cannot be made a graph, with the reason."""


class CaptureBroke(CaptureFailed):
    """A capture that began and did not end well: by the function, or by what another thread did meanwhile."""


@dataclass
class Captured:
    """A graph, the memory that it writes its outputs to, and where in it they lie."""

    graph: Any
    memory: Tensor
    layout: Layout


def warm_up(function: Function, inputs: Mapping[str, Tensor], stream: Any) -> dict[str, Tensor]:
    """Run a function some times on a stream, wait for it, and return its outputs.

    Raises:
        Exception: Whatever the function raises: it fails without a graph too.
    """
    stream.wait_stream(torch.cuda.current_stream(stream.device))  # which may still write the weights
    with torch.cuda.stream(stream), torch.inference_mode():
        for _ in range(_WARM_UPS):
            made = named(function(inputs))
    stream.synchronize()
    return dict(made)


def capture(
    function: Function,
    inputs: Mapping[str, Tensor],
    made: Mapping[str, Tensor],
    *,
    stream: Any,
    pool: Any,
    generators: Sequence[Any] = (),
) -> Captured:
    """Make a graph of a function that was warmed up.

    Other threads may use CUDA meanwhile, but for three things: they must not wait for the whole device
    (`torch.cuda.synchronize`), empty PyTorch's cache, or draw from the default generator of the device.
    Graphs of this package wait to be launched.

    Args:
        function: What to capture.
        inputs: Its inputs; the graph reads what these tensors hold when it is replayed.
        made: What it returned for such inputs.
        stream: Where to capture.
        pool: The memory of its intermediate results, shared with graphs that never run at the same time.
        generators: Generators of random numbers that it uses besides the default one of the device.

    Raises:
        CaptureFailed: If it does something that no graph can hold.
        CaptureBroke: If the capture did not end well; a second attempt may. The pool must not be used again.
    """
    _check(function, inputs, made, stream)
    layout = Layout({name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in made.items()})
    memory = torch.empty(layout.size, dtype=torch.uint8, device=stream.device)
    views = layout.views(memory)
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with NO_CAPTURE, _uncollected(), torch.cuda.stream(stream), torch.inference_mode():
        try:
            with _capturing(graph, pool):
                for name, tensor in named(function(inputs)).items():
                    views[name].copy_(tensor)
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise CaptureBroke(f"its capture broke: {reason}{_repaired(graph, pool, generators)}") from error
    return Captured(graph, memory, layout)


@contextmanager
def kept_generators(device: Any, generators: Sequence[Any]) -> Iterator[None]:
    """Put generators back to where they were, so that warming up and capturing draw no random numbers."""
    every = [torch.cuda.default_generators[device.index], *generators]
    states = [generator.get_state() for generator in every]
    try:
        yield
    finally:
        for generator, state in zip(every, states, strict=True):
            generator.set_state(state)


def _check(function: Function, inputs: Mapping[str, Tensor], made: Mapping[str, Tensor], stream: Any) -> None:
    """Refuse what is known to break a capture."""
    elsewhere = [
        f"{name or 'its output'} on {each.device}" for name, each in made.items() if not each.is_cuda
    ]
    if elsewhere:
        raise CaptureFailed(f"expected all outputs on {stream.device}, got {', '.join(elsewhere)}")
    with torch.cuda.stream(stream):
        try:
            found = waits(lambda: function(inputs))
        except Exception:  # it cannot be looked into, which says nothing of a capture
            found = ()
    stream.synchronize()
    if found:
        raise CaptureFailed(f"the host waits for the GPU in {', '.join(found)}")


@contextmanager
def _capturing(graph: Any, pool: Any) -> Iterator[None]:
    """Capture the block, and end the capture however it ends.

    `torch.cuda.graph` waits for the whole device first, which breaks the captures of other threads, and stays
    on the stream of a capture that broke.
    """
    graph.capture_begin(pool=pool, capture_error_mode="thread_local")
    try:
        yield
    except BaseException:
        with suppress(RuntimeError):
            graph.capture_end()
        raise
    graph.capture_end()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage in a block: to free a tensor or a graph of the GPU there may break the capture."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _repaired(graph: Any, pool: Any, generators: Sequence[Any]) -> str:
    """Bring PyTorch out of a capture that broke, and return what could not be done.

    Where the driver does not end a capture, PyTorch leaves it half ended: its allocator still has the pool in
    use, which keeps memory of other streams from being used again, and its generators refuse to be used
    outside of a capture, until they are part of one that ends well.
    """
    _BROKEN.append(graph)
    device = torch.cuda.current_device()
    with suppress(AttributeError, RuntimeError, TypeError):  # not of its public interface, or well ended
        torch._C._cuda_endAllocateToPool(device, pool)
        torch._C._cuda_releasePool(device, pool)
    another = torch.cuda.CUDAGraph()
    try:
        for generator in generators:
            another.register_generator_state(generator)
        something = torch.zeros(1, device=device)
        with _capturing(another, torch.cuda.graph_pool_handle()):
            something.add_(1.0)
        another.reset()
        graph.reset()
    except RuntimeError as error:
        return f"; random numbers may not work any more: {error}"
    return ""
