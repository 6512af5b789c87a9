# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""In a CUDA graph the operations of a flow step make what they make outside of it; needs a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lowlat_nodes.kernels import flow

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

if TYPE_CHECKING:
    from torch import Tensor

Call = Callable[["Tensor"], "Tensor"]


@pytest.fixture
def gpu(device: str) -> str:
    if device == "cpu":
        pytest.skip("needs an NVIDIA GPU and TRITON_INTERPRET=0")
    return device


@pytest.fixture(params=["euler", "ada_rms", "rotary", "silu_gate"])
def call(request: pytest.FixtureRequest, gpu: str, normal: Callable[..., Tensor]) -> Call:
    """An operation on tokens [2, 5, 64], which makes its result itself."""
    if request.param == "euler":
        decided, rows = normal(2, 5, 64), torch.tensor([0, 3], dtype=torch.int32)
        return lambda x: flow.euler(x, 2.0 * x, 0.1, clean=True, decided=decided, decided_rows=rows)
    if request.param == "ada_rms":
        scale, shift, gate = normal(2, 3 * 64).chunk(3, dim=-1)
        return lambda x: torch.stack(flow.ada_rms(x, scale, shift, residual=x.square(), gate=gate))
    if request.param == "rotary":
        cos, sin = normal(2, 5, 8)
        keys, values = torch.zeros(2, 2, 1, 5, 16)
        return lambda x: flow.rotary(x, cos, sin, keys, values) + keys * values
    return lambda x: flow.silu_gate(x, activation="gelu_tanh")


def test_a_graph_makes_of_fresh_inputs_what_the_call_does(call: Call, normal: Callable[..., Tensor]) -> None:
    x = normal(2, 5, 64)
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(
        beside
    ):  # kernels are compiled before, and on another stream, than they are captured
        call(x)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = call(x)
    for _ in range(3):
        x.copy_(normal(2, 5, 64))
        graph.replay()
        assert torch.equal(made, call(x))


def test_a_call_does_not_wait_for_the_gpu(call: Call, normal: Callable[..., Tensor]) -> None:
    x = normal(2, 5, 64)
    call(x)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        call(x)
    finally:
        torch.cuda.set_sync_debug_mode(before)
