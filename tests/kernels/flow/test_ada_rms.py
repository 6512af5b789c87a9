# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The adaptive RMS norm is what its formula says, whatever the condition consists of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow import ada_rms

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

if TYPE_CHECKING:
    from torch import Tensor

BOTH = pytest.mark.parametrize("which", ["cpu", "cuda"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
SHAPES = [(1, 5, 64), (1, 1), (7, 3), (2, 3, 3, 48), (3, 2, 1025), (1, 1, 4096)]


@BOTH
@DTYPES
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parts", ["scale", "scale shift", "residual", "residual shift gate"])
def test_sum_and_norm_are_those_of_the_oracle(
    which: str,
    dtype: str,
    shape: tuple[int, ...],
    parts: str,
    normal: Callable[..., Tensor],
    poisoned: Callable[..., Tensor],
    check_close: Callable[[Tensor, Tensor], None],
) -> None:
    *sequences, _, width = shape
    scale, shift, gate = normal(*sequences, 3 * width, dtype=dtype).chunk(3, dim=-1)
    arguments: dict[str, Any] = {"x": normal(*shape, dtype=dtype), "scale": scale}
    if "shift" in parts:
        arguments["shift"] = shift
    results = {"out": poisoned(shape, dtype)}
    if "residual" in parts:
        arguments["residual"] = normal(*shape, dtype=dtype)
        results["total"] = poisoned(shape, dtype)
    if "gate" in parts:
        arguments["gate"] = gate
    total, out = ada_rms.on(which)(**arguments, **results)
    assert out is results["out"]
    assert total is results.get("total", arguments["x"])
    for found, expected in zip((total, out), ada_rms.on("ref")(**arguments), strict=True):
        check_close(found, expected)
    for found, again in zip((total, out), ada_rms.on(which)(**arguments), strict=True):
        assert torch.equal(found, again)
        assert found.dtype == again.dtype


@BOTH
def test_one_condition_may_serve_all_sequences(
    which: str, normal: Callable[..., Tensor], check_close: Callable[[Tensor, Tensor], None]
) -> None:
    x, scale, shift = normal(4, 3, 20), normal(20), normal(20)
    _, out = ada_rms.on(which)(x, scale.expand(4, -1), shift.expand(4, -1))
    for found, sequence in zip(out, x, strict=True):
        check_close(found, ada_rms.on("ref")(sequence, scale, shift)[1])


@BOTH
def test_conditions_may_lie_unevenly(
    which: str, normal: Callable[..., Tensor], check_close: Callable[[Tensor, Tensor], None]
) -> None:
    x, scale = normal(2, 3, 5, 8), normal(3, 2, 16).transpose(0, 1)[..., 8:]
    check_close(ada_rms.on(which)(x, scale)[1], ada_rms.on("ref")(x, scale)[1])


@BOTH
def test_the_sum_may_take_the_place_of_the_tokens(which: str, normal: Callable[..., Tensor]) -> None:
    x, scale, residual = normal(2, 3, 20), normal(2, 20), normal(2, 3, 20)
    expected = ada_rms.on(which)(x, scale, residual=residual)
    found = ada_rms.on(which)(x, scale, residual=residual, total=x, out=residual)
    assert found[0] is x
    assert found[1] is residual
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@BOTH
def test_squares_beyond_float16_are_summed(
    which: str, normal: Callable[..., Tensor], check_close: Callable[[Tensor, Tensor], None]
) -> None:
    x, scale = 1000.0 * normal(1, 2, 300, dtype="float16"), normal(1, 300, dtype="float16")
    check_close(ada_rms.on(which)(x, scale)[1], ada_rms.on("ref")(x, scale)[1])


@BOTH
def test_tokens_of_zeros_become_the_shift(which: str, normal: Callable[..., Tensor]) -> None:
    shift = normal(1, 20)
    _, out = ada_rms.on(which)(torch.zeros(1, 3, 20), normal(1, 20), shift)
    assert torch.equal(out, shift.expand(1, 3, 20))


@BOTH
def test_eps_keeps_small_tokens_small(
    which: str, normal: Callable[..., Tensor], check_close: Callable[[Tensor, Tensor], None]
) -> None:
    x, scale = 1e-3 * normal(1, 3, 20), normal(1, 20)
    for eps in (1e-6, 1e-2):
        check_close(ada_rms.on(which)(x, scale, eps=eps)[1], ada_rms.on("ref")(x, scale, eps=eps)[1])


def _arguments(**changes: Any) -> dict[str, Any]:
    return {"x": torch.zeros(2, 5, 4), "scale": torch.zeros(2, 4)} | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x": torch.zeros(2, 5, 4, dtype=torch.int32)}, "x: expected float32 or .*, got int32"),
        ({"x": torch.zeros(4), "scale": torch.zeros(4)}, r"x: expected the shape \[..., T, W\]"),
        (
            {"x": torch.zeros(1, 1, 4097)},
            r"x: expected the shape \[..., T, W\], W <= 4096, got \[1, 1, 4097\]",
        ),
        ({"x": torch.zeros(0, 5, 4)}, "x: expected at least one element"),
        ({"x": torch.zeros(5, 2, 4).transpose(0, 1)}, "x: expected contiguous elements"),
        ({"scale": torch.zeros(4)}, r"scale: expected the shape \[2, 4\], got \[4\]"),
        ({"scale": torch.zeros(4, 2).mT}, "scale: expected contiguous rows"),
        ({"shift": torch.zeros(2, 5)}, r"shift: expected the shape \[2, 4\]"),
        ({"scale": torch.zeros(2, 4, device="meta")}, "scale: expected a tensor on the CPU or an NVIDIA GPU"),
        ({"scale": torch.zeros(2, 4, requires_grad=True)}, "scale: has a gradient"),
        ({"residual": torch.zeros(2, 4, 4)}, r"residual: expected the shape \[2, 5, 4\]"),
        ({"gate": torch.zeros(2, 4)}, "gate, total: expected a residual with them"),
        ({"total": torch.zeros(2, 5, 4)}, "gate, total: expected a residual with them"),
        ({"out": torch.zeros(2, 5, 4).half()}, "out: expected float32, got float16"),
        ({"eps": 0.0}, "eps: expected a positive number, got 0.0"),
        ({"eps": float("nan")}, "eps: expected a positive number, got nan"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        ada_rms(**_arguments(**changes))
    ada_rms(**_arguments())


def test_sum_and_norm_need_places_of_their_own() -> None:
    x, residual, result = torch.zeros(3, 2, 5, 4)
    for arguments in ({"out": x}, {"residual": residual, "total": result, "out": result}):
        with pytest.raises(BadArgument, match="out: expected another tensor than that of the sum"):
            ada_rms(**_arguments(x=x, **arguments))
