# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy whose inference is one launch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.arena import tensor_of
from lowlat_nodes.kernels.graphed.buckets import Bucket, Buckets
from lowlat_nodes.kernels.graphed.capture import (
    BUILDING,
    CaptureBroke,
    CaptureFailed,
    Function,
    capture,
    kept_generators,
    warm_up,
)
from lowlat_nodes.kernels.graphed.eager import Eager
from lowlat_nodes.kernels.graphed.inputs import Array, Input, Inputs, like
from lowlat_nodes.kernels.graphed.outputs import Outputs
from lowlat_nodes.kernels.graphed.pending import Made, Pending, Times
from lowlat_nodes.kernels.graphed.replay import Replay, StaticInputs

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_ATTEMPTS = 2
"""To capture a graph: another thread may have broken the first one by waiting for the device."""


class GraphedPolicy:
    """Runs a policy of torch as one CUDA graph for each shape of its inputs; on a CPU operator by operator.

    The first run of a shape warms the policy up and captures it, which takes as long as some runs; the next
    ones copy the inputs, launch the graph and copy the result, in a few calls. A policy that cannot be
    captured runs operator by operator, and says why.

    It is used by one thread at a time, which other threads do not disturb: they may use CUDA meanwhile, but
    while a graph is captured (the first run of a shape) not wait for the whole device, empty PyTorch's cache,
    or draw from the default generator. Other policies of the process wait then for a moment.

    Args:
        function: The policy: takes named tensors on the device, and returns a tensor or named tensors. It
            must not depend on anything else that changes but its weights and random numbers, and must not
            write to its inputs. Weights may change in place, and not be replaced.
        device: Where it runs and its weights are, as torch names it; None: on the GPU if there is one.
        inputs: What it takes; None: whatever has the dtypes and shapes of the first run.
        outputs: Which axes of its outputs are axes of its inputs, by name of the output; a single tensor has
            the empty name. Needed for outputs that are cut back where their inputs were padded.
        sizes: The sizes to which axes are padded, by name of the axis. Others are not padded: each of their
            sizes has a graph of its own. Padding is right only for a policy to which it makes no difference.
        most_graphs: How many graphs are kept.
        beyond: What becomes of inputs for which that is too few, or which are larger than all declared sizes:
            `eager` runs them operator by operator, `refuse` raises.
        generators: Generators of random numbers that it uses besides the default one of the device.
        graphs: Whether to make graphs at all.

    Attributes:
        graphed: Whether the newest run was a graph's; before the first one, whether there will be graphs.
        reason: Why it was not; empty if it was.

    Raises:
        BadArgument: If the arguments do not fit each other, or there is no such device.
        ModuleNotFoundError: If PyTorch is not installed.
    """

    def __init__(
        self,
        function: Function,
        *,
        device: str | None = None,
        inputs: Mapping[str, Input] | None = None,
        outputs: Mapping[str, tuple[str | None, ...]] | None = None,
        sizes: Mapping[str, Sequence[int]] | None = None,
        most_graphs: int = 16,
        beyond: str = "eager",
        generators: Sequence[Any] = (),
        graphs: bool = True,
    ) -> None:
        if beyond not in {"eager", "refuse"}:
            raise BadArgument(f"beyond: expected 'eager' or 'refuse', got {beyond!r}")
        if most_graphs < 1:
            raise BadArgument(f"most_graphs: expected 1 or more, got {most_graphs}")
        if inputs is None and sizes:
            raise BadArgument("sizes: expected inputs that name these axes, got none")
        self._function = function
        self._device = _device(device)
        self._sizes = dict(sizes or {})
        self._outputs = Outputs(outputs or {})
        self._most = most_graphs
        self._beyond = beyond
        self._generators = tuple(generators)
        self._taken: _Taken | None = None
        self._known: dict[Bucket, Replay | str] = {}
        self._busy = threading.Lock()
        self._closed = False
        self._times = Times()
        self._stream, self._copies = _streams(self._device)
        self._pool: Any = None
        self._never = "" if graphs else "graphs are off"
        if self._device.type != "cuda":
            self._never = "it runs on the CPU"
        self.graphed = not self._never
        self.reason = self._never
        if inputs is not None:
            self._taken = self._take(inputs)

    @property
    def submit_us(self) -> float:
        """Return how long the host took to launch the newest run, µs; NaN before the first, 0 on a CPU.

        It is the time from the first launch until the last one returned; no wait for the device is in it.
        """
        return self._times.submit_us

    @property
    def stage_us(self) -> float:
        """Return how long the host took to check the inputs and to write them to pinned memory, µs."""
        return self._times.stage_us

    @property
    def device_us(self) -> float:
        """Return how long the policy took in the newest run, µs; NaN until its result was fetched.

        On a GPU it is the time between two events, from before to after the graph, without copies from and to
        the host; on a CPU that of the call.
        """
        return self._times.device_us

    @property
    def buckets(self) -> dict[str, str]:
        """Return each bucket that was used in words, and why it is not a graph; empty if it is one."""
        return {
            str(bucket): "" if isinstance(known, Replay) else known for bucket, known in self._known.items()
        }

    def __call__(self, given: Mapping[str, Array]) -> Made:
        """Run the policy once and return what it returned, on the CPU: tensors that are the caller's own.

        Args:
            given: The inputs by name, of NumPy or torch, in any memory.

        Raises:
            BadArgument: If they are not as declared, or as at first.
            RuntimeError: If it was closed, or another thread is using it.
        """
        return self.submit(given).result()

    def submit(self, given: Mapping[str, Array]) -> Pending:
        """Start a run and return, on a GPU while it goes on.

        Two may be in flight: the inputs of the second are copied while the first still computes. A third
        waits for the first, whose result is kept if it was not fetched. The arrays may be changed as soon as
        this returns; tensors on the GPU only by what follows on the current stream.

        Args:
            given: As for a call.

        Raises:
            BadArgument: As a call.
            RuntimeError: As a call.
        """
        with self._alone():
            if self._closed:
                raise RuntimeError("expected a policy that is open, it was closed")
            begun_ns = time.perf_counter_ns()
            if not isinstance(given, Mapping):
                raise BadArgument(f"expected the inputs by name, got {type(given).__name__}")
            taken = self._taken or self._take({name: like(name, array) for name, array in given.items()})
            sizes = taken.inputs.check(given)
            bucket = taken.buckets.of(sizes, given)
            times = Times(stage_us=(time.perf_counter_ns() - begun_ns) / 1e3)
            runner = self._runner(taken, bucket, sizes, given)
            if isinstance(runner, Replay):
                pending = runner.submit(given, sizes, times)
            else:
                padded = sizes if bucket is None else dict(bucket.sizes)
                pending = taken.eager.submit(given, sizes, padded, times)
            self._taken = taken  # from the first run only if it went well
            self._times = times
            self.graphed, self.reason = isinstance(runner, Replay), runner if isinstance(runner, str) else ""
        return pending

    def close(self) -> None:
        """Wait for what runs and free graphs and buffers; results can still be fetched."""
        with self._alone():
            self._closed = True
            for known in self._known.values():
                if isinstance(known, Replay):
                    known.close()
            self._known.clear()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise RuntimeError(
                "expected one thread at a time to use a policy, another one is; make one for each"
            )
        try:
            yield
        finally:
            self._busy.release()

    def _take(self, declared: Mapping[str, Input]) -> _Taken:
        inputs = Inputs(declared)
        self._outputs.declare(inputs.axes)
        eager = Eager(self._function, inputs, self._outputs, device=self._device, stream=self._stream)
        return _Taken(inputs, Buckets(inputs, self._sizes), eager)

    def _runner(
        self, taken: _Taken, bucket: Bucket | None, sizes: Mapping[str, int], given: Mapping[str, Array]
    ) -> Replay | str:
        """Return what runs these inputs, or why no graph does."""
        if bucket is None:
            return self._beyond_all(f"larger than all declared sizes: {taken.buckets.beyond(sizes)}")
        known = self._known.get(bucket)
        if known is None:
            if len(self._known) >= self._most:
                return self._beyond_all(f"as many shapes as most_graphs = {self._most} came before: {bucket}")
            known = self._known[bucket] = self._never or self._capture(taken.inputs, bucket, given)
        return known

    def _beyond_all(self, reason: str) -> str:
        if self._beyond == "refuse":
            raise BadArgument(f"expected inputs that a graph is kept for, got {reason}")
        return self._never or reason

    def _capture(self, inputs: Inputs, bucket: Bucket, given: Mapping[str, Array]) -> Replay | str:
        """Return the graph of a bucket, or why there is none."""
        sizes = dict(bucket.sizes)
        keeping = kept_generators(self._device, self._generators)
        with BUILDING, torch.inference_mode(mode=False), torch.no_grad(), keeping:
            static = StaticInputs(inputs.on_device, sizes, self._device)
            static.write(given)
            feed = {
                name: tensor_of(given[name]).clone() if item.on_host else static.views[name]
                for name, item in inputs.declared.items()
            }
            made = warm_up(self._function, feed, self._stream)
            self._outputs.check(made, sizes)
            reason = ""
            for _ in range(_ATTEMPTS):
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                try:
                    captured = capture(
                        self._function,
                        feed,
                        made,
                        stream=self._stream,
                        pool=self._pool,
                        generators=self._generators,
                    )
                    return Replay(captured, static, self._outputs, stream=self._stream, copies=self._copies)
                except CaptureBroke as error:
                    reason, self._pool = str(error), None
                except CaptureFailed as error:
                    return str(error)
                except torch.cuda.OutOfMemoryError as error:
                    return f"there is no memory for its buffers: {error}"
        return reason


class _Taken(NamedTuple):
    """What follows from the inputs, which may be known from the first run on."""

    inputs: Inputs
    buckets: Buckets
    eager: Eager


def by_name(module: Callable[..., Tensor | Mapping[str, Tensor]]) -> Function:
    """Return the policy that calls a module with its inputs as arguments of their names."""
    return lambda inputs: module(**inputs)


def _device(name: str | None) -> Any:
    """Return the device, with its index if it is a GPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadArgument(f"device: expected cpu, cuda or cuda:NUMBER, got {name!r}") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise BadArgument(f"device: expected cpu, cuda or cuda:NUMBER, got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = device.index if device.index is not None else torch.cuda.current_device() if count else 0
    if index >= count:
        raise BadArgument(
            f"device: expected one of {count} GPUs that PyTorch {torch.__version__} sees, got {name!r}"
        )
    return torch.device("cuda", index)


def _streams(device: Any) -> tuple[Any, Any]:
    """Return the stream of graphs and that of copies; None for each on a CPU."""
    if device.type == "cpu":
        return None, None
    return torch.cuda.Stream(device), torch.cuda.Stream(device)
