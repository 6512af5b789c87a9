# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy returns: cut back where its inputs were padded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.pending import Made


class Outputs:
    """Which sizes of the outputs are axes of the inputs.

    Args:
        axes: For each output the name of each axis, or None; a single output has the empty name. What is not
            named is returned whole.
    """

    def __init__(self, axes: Mapping[str, tuple[str | None, ...]]) -> None:
        self._axes = {name: tuple(named) for name, named in axes.items()}

    def declare(self, axes: Sequence[str]) -> None:
        """Check that the axes are those of inputs.

        Raises:
            BadArgument: If one is not.
        """
        for name, named in self._axes.items():
            for axis in named:
                if axis is not None and axis not in axes:
                    known = ", ".join(axes) or "there is none"
                    raise BadArgument(
                        f"outputs: expected axes that an input names ({known}), got {axis!r} in {name!r}"
                    )

    def check(self, made: Mapping[str, Tensor], padded: Mapping[str, int]) -> None:
        """Check what a policy made of padded inputs.

        Raises:
            ValueError: If an output that was declared is missing, or has other axes.
        """
        for name, axes in self._axes.items():
            if name not in made:
                raise ValueError(f"expected the policy to return {_word(name)}, got {_words(made)}")
            found = tuple(made[name].shape)
            wanted = [padded[axis] if axis else size for axis, size in zip(axes, found, strict=False)]
            if len(found) != len(axes) or list(found) != wanted:
                shape = ", ".join(f"{axis} {padded[axis]}" if axis else "any" for axis in axes)
                raise ValueError(
                    f"expected the policy to return {_word(name)} of the shape [{shape}], got {list(found)}"
                )

    def cut(self, made: Mapping[str, Tensor], sizes: Mapping[str, int]) -> Made:
        """Return copies of the outputs, as large as the inputs were before padding."""
        # Copies of inference mode would refuse to be written to outside of it.
        with torch.inference_mode(mode=False):
            cut = {
                name: self._cut(name, tensor, sizes).clone(memory_format=torch.contiguous_format)
                for name, tensor in made.items()
            }
        return cut.get("", cut)

    def _cut(self, name: str, tensor: Tensor, sizes: Mapping[str, int]) -> Tensor:
        axes = self._axes.get(name)
        if not axes:
            return tensor
        return tensor[tuple(slice(sizes[axis]) if axis else slice(None) for axis in axes)]


def _word(name: str) -> str:
    return repr(name) if name else "one tensor"


def _words(names: Iterable[str]) -> str:
    return ", ".join(map(_word, names))
