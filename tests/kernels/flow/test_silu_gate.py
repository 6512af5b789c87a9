# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The gate is what its formula says, for both activations and at the ends of what dtypes hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow import silu_gate

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

if TYPE_CHECKING:
    from torch import Tensor

BOTH = pytest.mark.parametrize("which", ["cpu", "cuda"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
ACTIVATIONS = pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
SHAPES = [(1, 5, 64), (2,), (7, 6), (2, 3, 3, 48), (2, 2050), (1, 1, 8192)]


@BOTH
@DTYPES
@ACTIVATIONS
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gate_is_that_of_the_oracle(
    which: str,
    dtype: str,
    activation: Literal["silu", "gelu_tanh"],
    shape: tuple[int, ...],
    normal: Callable[..., Tensor],
    poisoned: Callable[..., Tensor],
    check_close: Callable[[Tensor, Tensor], None],
) -> None:
    projected = normal(*shape, dtype=dtype)
    out = poisoned((*shape[:-1], shape[-1] // 2), dtype)
    assert silu_gate.on(which)(projected, activation=activation, out=out) is out
    check_close(out, silu_gate.on("ref")(projected, activation=activation))
    made = silu_gate.on(which)(projected, activation=activation)
    assert torch.equal(made, out)
    assert made.dtype == projected.dtype


@BOTH
@DTYPES
@ACTIVATIONS
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # of NumPy, by which Triton interprets
def test_an_activation_of_something_large_is_that_or_nothing(
    which: str, dtype: str, activation: Literal["silu", "gelu_tanh"], device: str
) -> None:
    projected = torch.tensor([-3e4, -80.0, 0.0, 80.0, 3e4] + 5 * [1.0]).to(getattr(torch, dtype))
    found = silu_gate.on(which)(projected, activation=activation)
    torch.testing.assert_close(found, projected[:5].clamp(min=0.0), rtol=0.0, atol=1e-30)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            {"projected": torch.zeros(2, 4, dtype=torch.float64)},
            "projected: expected float32 or .*, got float64",
        ),
        ({"projected": torch.zeros(2, 5)}, r"projected: expected the shape \[..., 2 F\], got \[2, 5\]"),
        ({"projected": torch.tensor(1.0)}, r"projected: expected the shape \[..., 2 F\], got \[\]"),
        ({"projected": torch.zeros(2, 0)}, "projected: expected at least one element"),
        ({"projected": torch.zeros(4, 2).mT}, "projected: expected contiguous elements"),
        (
            {"projected": torch.zeros(2, 4), "activation": "relu"},
            "activation: expected silu or gelu_tanh, got 'relu'",
        ),
        (
            {"projected": torch.zeros(2, 4), "out": torch.zeros(2, 4)},
            r"out: expected the shape \[2, 2\], got \[2, 4\]",
        ),
        (
            {"projected": torch.zeros(2, 4), "out": torch.zeros(2, 2).half()},
            "out: expected float32, got float16",
        ),
        ({"projected": torch.zeros(2, 4, requires_grad=True)}, "projected: has a gradient"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        silu_gate(**arguments)


def test_without_gradients_parameters_are_taken() -> None:
    with torch.no_grad():
        assert silu_gate(torch.zeros(2, 4, requires_grad=True)).shape == (2, 2)
