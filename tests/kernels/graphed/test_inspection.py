# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Operators for which a host would wait: here those of the CPU, as if it were the device."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.kernels.graphed.inspection import waits

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")]

X = torch.arange(6.0)
AT = torch.arange(2)
META = torch.zeros(6, device="meta")


@torch.no_grad()
def masked(value: object) -> None:
    x = X.clone()
    x[x > 1.0] = value


@pytest.mark.parametrize(
    ("run", "operators"),
    [
        (lambda: X.sum().item(), ("aten::_local_scalar_dense",)),
        (lambda: float(X[0]), ("aten::_local_scalar_dense",)),
        (lambda: X[: int(X[2])], ("aten::_local_scalar_dense",)),
        (lambda: bool((X > 1.0).any()), ("aten::_local_scalar_dense",)),
        (lambda: X[X > 1.0], ("aten::index",)),
        (lambda: masked(X[2:]), ("aten::index_put_",)),
        (X.nonzero, ("aten::nonzero",)),
        (lambda: torch.where(X > 1.0), ("aten::nonzero",)),
        (lambda: X.masked_select(X > 1.0), ("aten::masked_select",)),
        (lambda: torch.unique(X), ("aten::_unique2",)),
        (lambda: torch.equal(X, X), ("aten::equal",)),
        (lambda: X[:2].repeat_interleave(AT + 1), ("aten::repeat_interleave",)),
        (lambda: X.to("meta"), ("aten::_to_copy",)),
        (lambda: META.clone().copy_(X), ("aten::copy_",)),
        (lambda: torch.tensor([1.0, 2.0]), ("aten::lift_fresh",)),
    ],
)
def test_they_are_found(run: Callable[[], object], operators: tuple[str, ...]) -> None:
    assert waits(run, "cpu") == operators


@pytest.mark.parametrize(
    "run",
    [
        lambda: X + X * 2.0,
        lambda: X[AT],
        lambda: torch.where(X > 1.0, X, 0.0),
        lambda: X.to(torch.float16),
        lambda: X.to("meta", non_blocking=True),
        lambda: X[:2].repeat_interleave(AT + 1, output_size=3),
        lambda: torch.arange(6.0) + torch.linspace(0.0, 1.0, 6),
        lambda: torch.nn.functional.scaled_dot_product_attention(*[X.view(1, 1, 6, 1)] * 3),
        META.sum,
    ],
)
def test_nothing_else_is(run: Callable[[], object]) -> None:
    assert waits(run, "cpu") == ()


def test_to_set_masked_elements_to_a_number_of_the_host_needs_no_wait() -> None:
    one = torch.tensor(1.0)
    assert waits(lambda: META.clone().index_put_((META > 1.0,), one), "meta") == ()
    assert waits(lambda: X.clone().index_put_((X > 1.0,), one), "cpu") == ("aten::index_put_",)


def test_indices_must_be_on_the_device() -> None:
    assert waits(lambda: META[AT], "meta") == ("aten::index",)
    assert waits(lambda: META[AT.to("meta")], "meta") == ("aten::_to_copy",)
    there = AT.to("meta")
    assert waits(lambda: META[there], "meta") == ()


def test_programs_are_seen_through() -> None:
    @torch.jit.script
    def count(x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        for _ in range(int(steps[0])):
            x = x + 1.0
        return x

    assert waits(lambda: count(X, torch.ones(1)), "cpu") == ("aten::_local_scalar_dense",)
    assert waits(lambda: count(META, torch.ones(1)), "meta") == ()


def test_it_looks_in_inference_mode_too() -> None:
    with torch.inference_mode():
        assert waits(lambda: torch.where(X > 1.0), "cpu") == ("aten::nonzero",)


def test_what_the_function_raises_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        waits(lambda: 1 / 0, "cpu")
