# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which inputs share a graph."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.buckets import Bucket, Buckets
from lowlat_nodes.kernels.graphed.inputs import Input, Inputs

pytestmark = pytest.mark.torch

INPUTS = Inputs({"x": Input("float32", ("batch", "words", 3)), "steps": Input("int64", (2,), on_host=True)})
BUCKETS = Buckets(INPUTS, {"words": (32, 8, 16, 8)})


def bucket(batch: int, words: int, steps: tuple[int, int] = (1, 2)) -> Bucket | None:
    return BUCKETS.of({"batch": batch, "words": words}, {"steps": np.array(steps)})


@pytest.mark.parametrize(("words", "padded"), [(1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (32, 32)])
def test_a_declared_axis_is_rounded_up_and_another_is_not(words: int, padded: int) -> None:
    found = bucket(5, words)
    assert found is not None
    assert dict(found.sizes) == {"batch": 5, "words": padded}


def test_what_is_larger_than_all_has_none() -> None:
    assert bucket(5, 33) is None
    assert BUCKETS.beyond({"batch": 5, "words": 33}) == "words 33 > 32"


def test_values_on_the_host_tell_buckets_apart() -> None:
    assert bucket(1, 3) == bucket(1, 7)
    assert bucket(1, 3) != bucket(1, 3, (1, 3))
    assert str(bucket(1, 3)) == "batch 1, words 8, value 01000000000000000200000000000000"


@pytest.mark.parametrize("dtype", ["bool", "bfloat16", "float64", "int64"])
def test_values_of_tensors_and_of_strided_arrays(dtype: str) -> None:
    buckets = Buckets(Inputs({"x": Input("float32", (1,)), "value": Input(dtype, (2, 2), on_host=True)}), {})
    value = torch.tensor([[0, 1], [1, 1]]).to(getattr(torch, dtype))

    def of(value: object) -> Bucket | None:
        return buckets.of({}, {"value": value})

    assert of(value) == of(value.clone())
    assert of(value.T.contiguous().T) == of(value)
    assert of(value.T) != of(1 - value.to(torch.int64).to(value.dtype) if dtype != "bool" else ~value)
    if dtype != "bfloat16":
        assert of(value.numpy()) == of(value) == of(np.asfortranarray(value.numpy()))


def test_sizes_that_make_no_buckets_are_refused() -> None:
    with pytest.raises(
        BadArgument, match=r"expected an axis that an input names \(batch, words\), got 'word'"
    ):
        Buckets(INPUTS, {"word": (8,)})
    with pytest.raises(BadArgument, match=r"words: expected sizes of 1 or more, got \[0, 8\]"):
        Buckets(INPUTS, {"words": (0, 8)})
    with pytest.raises(BadArgument, match=r"words: expected sizes of 1 or more, got \[\]"):
        Buckets(INPUTS, {"words": ()})
