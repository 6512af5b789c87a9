# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The array that the operation returns, and NumPy's view of what may be tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.arguments import is_tensor
from lowlat_nodes.kernels.letterbox.target import Target


def result(images: Sequence[Any], target: Target, out: Any) -> Any:
    """Return `out`, or where that is None a new array like the images: of NumPy, or of torch beside them."""
    if out is not None:
        return out
    shape = (len(images), 3, target.height, target.width)
    if not is_tensor(images[0]):
        return np.empty(shape, target.dtype)
    import torch

    return torch.empty(shape, dtype=getattr(torch, target.dtype), device=images[0].device)


def as_numpy(array: Any) -> NDArray[Any]:
    """Return a view of an array of the host."""
    return np.asarray(array)
