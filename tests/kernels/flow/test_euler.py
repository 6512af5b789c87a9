# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An Euler step is what its formula says, and leaves decided rows alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow import euler

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

if TYPE_CHECKING:
    from torch import Tensor

BOTH = pytest.mark.parametrize("which", ["cpu", "cuda"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
SHAPES = [(1, 50, 32), (1, 1), (7, 3), (2, 3, 5, 48), (3, 51, 33)]


@BOTH
@DTYPES
@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_that_of_the_oracle(
    which: str,
    dtype: str,
    clean: bool,
    shape: tuple[int, ...],
    normal: Callable[..., Tensor],
    poisoned: Callable[..., Tensor],
    check_close: Callable[[Tensor, Tensor], None],
) -> None:
    x, prediction, out = normal(*shape, dtype=dtype), normal(*shape), poisoned(shape, dtype)
    expected = euler.on("ref")(x, prediction, 0.3, clean=clean)
    assert euler.on(which)(x, prediction, 0.3, clean=clean, out=out) is out
    check_close(out, expected)
    made = euler.on(which)(x, prediction, 0.3, clean=clean)
    assert torch.equal(made, out)
    assert made.dtype == x.dtype


@BOTH
@DTYPES
def test_the_first_rows_stay_as_they_are_decided(
    which: str,
    dtype: str,
    normal: Callable[..., Tensor],
    poisoned: Callable[..., Tensor],
    check_close: Callable[[Tensor, Tensor], None],
) -> None:
    shape = (2, 3, 7, 31)
    counts = torch.tensor([[0, 1, 7], [-2, 6, 100]], dtype=torch.int32)
    kept = (torch.arange(7) < counts[..., None])[..., None].expand(shape)
    x, prediction, out = normal(*shape, dtype=dtype), normal(*shape, dtype=dtype), poisoned(shape, dtype)
    decided = torch.where(kept, normal(*shape, dtype=dtype), torch.nan)  # those of other rows are not read
    euler.on(which)(x, prediction, -0.1, decided=decided, decided_rows=counts, out=out)
    assert torch.equal(out[kept], decided[kept])
    check_close(out[~kept], (x.double() - 0.1 * prediction.double())[~kept])
    oracle = euler.on("ref")(x, prediction, -0.1, decided=decided, decided_rows=counts)
    check_close(out, oracle)


@BOTH
def test_a_chunk_without_a_batch_has_one_count(which: str, normal: Callable[..., Tensor]) -> None:
    x, prediction, decided = normal(5, 4), normal(5, 4), normal(5, 4)
    count = torch.tensor(2, dtype=torch.int32)
    found = euler.on(which)(x, prediction, 0.5, decided=decided, decided_rows=count)
    oracle = euler.on("ref")(x, prediction, 0.5, decided=decided, decided_rows=count)
    assert torch.equal(found[:2], decided[:2])
    torch.testing.assert_close(found.double(), oracle, rtol=1e-6, atol=1e-6)
    assert not torch.equal(found[2:], decided[2:])


@BOTH
def test_all_steps_end_at_the_clean_chunk(which: str, normal: Callable[..., Tensor]) -> None:
    x, clean, steps = normal(2, 9, 32), normal(2, 9, 32), 5
    by_velocity, velocity = x.clone(), clean - x
    for step in range(steps):
        euler.on(which)(x, clean, 1.0 / (steps - step), clean=True, out=x)
        euler.on(which)(by_velocity, velocity, 1.0 / steps, out=by_velocity)
        torch.testing.assert_close(x, by_velocity, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x, clean, rtol=1e-6, atol=1e-6)


def _arguments(**changes: Any) -> dict[str, Any]:
    return {"x": torch.zeros(2, 5, 4), "prediction": torch.zeros(2, 5, 4), "step_size": 0.1} | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x": torch.zeros(2, 5, 4, dtype=torch.float64)}, "x: expected float32 or .*, got float64"),
        ({"x": np.zeros((2, 5, 4), np.float32)}, "x: expected a tensor of torch, got ndarray"),
        (
            {"x": torch.zeros(4), "prediction": torch.zeros(4)},
            r"x: expected the shape \[..., T, W\], got \[4\]",
        ),
        ({"x": torch.zeros(2, 0, 4)}, "x: expected at least one element"),
        ({"x": torch.zeros(2, 4, 5).mT}, "x: expected contiguous elements"),
        ({"x": torch.zeros(2, 5, 4, device="meta")}, "x: expected a tensor on the CPU or an NVIDIA GPU"),
        ({"x": torch.zeros(2, 5, 4, requires_grad=True)}, "x: has a gradient"),
        ({"prediction": torch.zeros(2, 5, 5)}, r"prediction: expected the shape \[2, 5, 4\]"),
        ({"prediction": torch.zeros(2, 5, 4, device="meta")}, "prediction: expected a tensor on the CPU"),
        ({"step_size": float("nan")}, "step_size: expected a finite number, got nan"),
        ({"decided": torch.zeros(2, 5, 4)}, "decided, decided_rows: expected both or neither"),
        (
            {"decided": torch.zeros(2, 5, 4), "decided_rows": torch.zeros(2)},
            "decided_rows: expected int32, got float32",
        ),
        (
            {"decided": torch.zeros(2, 5, 4).half(), "decided_rows": torch.zeros(2, dtype=torch.int32)},
            "decided: expected float32, got float16",
        ),
        (
            {"decided": torch.zeros(2, 5, 4), "decided_rows": torch.zeros(3, dtype=torch.int32)},
            r"decided_rows: expected the shape \[2\], got \[3\]",
        ),
        ({"out": torch.zeros(2, 5, 4).half()}, "out: expected float32, got float16"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        euler(**_arguments(**changes))
    euler(**_arguments())


def test_tensors_on_several_gpus_are_refused() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode  # has shapes and devices, and no numbers

    with FakeTensorMode():
        x, there, here = (torch.zeros(2, 5, 4, device=device) for device in ("cuda:0", "cuda:1", "cpu"))
        for other in (there, here):
            with pytest.raises(
                BadArgument, match=f"prediction: expected a tensor on cuda:0, got one on {other.device}"
            ):
                euler(x, other, 0.1)
