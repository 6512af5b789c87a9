# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Several tensors in one piece of memory."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.kernels.graphed.arena import Layout, tensor_of, write

pytestmark = pytest.mark.torch

SHAPES = {
    "image": (torch.uint8, (3, 5, 7)),
    "mask": (torch.bool, (11,)),
    "state": (torch.float32, (1, 3)),
    "scalar": (torch.float64, ()),
    "half": (torch.bfloat16, (2, 1, 3)),
    "words": (torch.int64, (5,)),
}


def test_each_tensor_keeps_to_its_own_memory() -> None:
    layout = Layout(SHAPES)
    memory = torch.full((layout.size,), 0xAB, dtype=torch.uint8)
    views = layout.views(memory)
    assert {name: (view.dtype, tuple(view.shape)) for name, view in views.items()} == SHAPES
    assert all((view.data_ptr() - memory.data_ptr()) % 256 == 0 for view in views.values())
    for number, view in enumerate(views.values()):
        view.fill_(number % 2 + 1)
    for number, view in enumerate(views.values()):
        assert (view == (number % 2 + 1 if view.dtype != torch.bool else True)).all()
    used = sum(view.numel() * view.element_size() for view in views.values())
    assert (memory == 0xAB).sum() == layout.size - used


def test_a_copy_of_the_memory_is_a_copy_of_all() -> None:
    layout = Layout(SHAPES)
    one, other = (torch.zeros(layout.size, dtype=torch.uint8) for _ in range(2))
    state = torch.randn(1, 3)
    layout.views(one)["state"].copy_(state)
    other.copy_(one)
    assert torch.equal(layout.views(other)["state"], state)


@pytest.mark.parametrize("of_torch", [False, True])
@pytest.mark.parametrize(("shape", "fill"), [((3, 4), 9.0), ((2, 4), -1.0), ((1, 1), 0.0), ((3, 3), 7.0)])
def test_what_is_smaller_is_filled_up(shape: tuple[int, int], fill: float, of_torch: bool) -> None:
    array = np.random.default_rng(1).standard_normal(shape, np.float32)
    memory = torch.full((5, 4), torch.nan)
    write(memory[1:4], torch.from_numpy(array) if of_torch else array, fill)
    expected = np.full((3, 4), fill, np.float32)
    expected[: shape[0], : shape[1]] = array
    assert np.array_equal(memory[1:4].numpy(), expected)
    assert memory[[0, 4]].isnan().all()


def test_arrays_need_not_be_contiguous_or_writable() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[::-2, ::-3]
    view = torch.full((2, 2), torch.nan)
    write(view, array, 0.0)
    assert view.tolist() == array.tolist()
    array = np.arange(3.0)
    array.flags.writeable = False
    tensor = tensor_of(array)
    tensor[0] = 5.0
    assert array[0] == 0.0
    assert tensor_of(array[::-1]).tolist() == [2.0, 1.0, 0.0]


def test_a_writable_array_is_not_copied() -> None:
    array = np.zeros(3)
    tensor_of(array)[0] = 5.0
    assert array[0] == 5.0
    tensor = torch.zeros(3)
    assert tensor_of(tensor) is tensor
