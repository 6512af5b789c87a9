# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the operators for which the host waits for the GPU, before a capture breaks on them.

A capture that breaks leaves traces in PyTorch, and the driver does not say on which operator. Most policies
that cannot be captured read a number of the GPU, ask it for a shape, or copy to or from memory that is not
pinned: all of that is seen in the operators that they dispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_INDEXED = ("aten::index", "aten::index_put", "aten::index_put_")
"""Operators that wait where an index is a mask, or on the host."""

_COPIES = ("aten::copy_", "aten::_to_copy")

_LITERAL = "aten::lift_fresh"
"""What `torch.tensor` makes of numbers of Python."""


def waits(run: Callable[[], object], device: str = "cuda") -> tuple[str, ...]:
    """Run a function and return the operators in it that make the host wait for a device, each once.

    Only what this thread dispatches is seen; kernels that are launched past PyTorch are not.

    Args:
        run: The function; it is called without gradients.
        device: The type of the device.
    """
    watch = _Watch(device)
    # Inference mode would show composite operators whole, and hide what they consist of.
    with torch.inference_mode(mode=False), torch.no_grad(), watch:
        run()
    return tuple(watch.found)


class _Watch(TorchDispatchMode):  # type: ignore[misc]  # torch is not read by mypy
    """Sees each operator that the thread dispatches."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.found: dict[str, None] = {}
        self._device = device

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        kwargs = kwargs or {}
        made = operator(*args, **kwargs)
        if _waits(operator, args, kwargs, made, self._device):
            self.found[_name(operator)] = None
        return made


def _name(operator: Any) -> str:
    """Return the name of an operator, without that of its overload."""
    name: str = operator.name()
    return name.partition(".")[0]


def _waits(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], made: object, device: str) -> bool:
    name = _name(operator)
    kinds = {tensor.device.type for tensor in _tensors([args, kwargs])}
    if name in _COPIES:
        kinds |= {tensor.device.type for tensor in _tensors(made)}
        return len(kinds) > 1 and device in kinds and not _given(operator, args, kwargs, "non_blocking")
    if device not in kinds:
        return False
    if name in _INDEXED:
        indices = list(_tensors(args[1]))
        masked = any(tensor.dtype in {torch.bool, torch.uint8} for tensor in indices)
        moved = any(tensor.device.type != device for tensor in indices)
        return moved or (masked and not _fills(name, args, device))
    if _given(operator, args, kwargs, "output_size") is not None:
        return False  # the shape is known
    tags = set(operator.tags)
    return name == _LITERAL or bool(tags & {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})


def _fills(name: str, args: tuple[Any, ...], device: str) -> bool:
    """Return whether `x[mask] = number`, which needs no indices; the number is on the CPU then."""
    return name != _INDEXED[0] and args[2].numel() == 1 and args[2].device.type != device


def _given(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    """Return an argument, wherever it stands; None where it was not given."""
    names = [argument.name for argument in operator._schema.arguments]
    return (dict(zip(names, args, strict=False)) | kwargs).get(name)


def _tensors(value: object) -> Iterator[Any]:
    """Yield the tensors in nested sequences and mappings."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
