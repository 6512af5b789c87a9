# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a kernel of Triton is launched."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def beside(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context in which kernels are launched on the GPU of a tensor; Triton takes the current one."""
    if not tensor.is_cuda:  # in the interpreter
        return nullcontext()
    import torch

    context: AbstractContextManager[object] = torch.cuda.device(tensor.device)
    return context
