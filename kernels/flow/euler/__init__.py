# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One Euler step of a flow from noise to actions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow.tensors import check_activations, check_beside
from lowlat_nodes.kernels.registry import of, op

if TYPE_CHECKING:
    from torch import Tensor


@op(
    "euler",
    ref=of("reference", needs="torch"),
    cpu=[of("cpu", needs="torch")],
    cuda=of("cuda", needs="torch triton"),
)
def euler(
    x: Tensor,
    prediction: Tensor,
    step_size: float,
    *,
    clean: bool = False,  # noqa: ARG001 - nothing to check
    decided: Tensor | None = None,
    decided_rows: Tensor | None = None,
    out: Tensor | None = None,
) -> str:
    """Return `x + step_size * prediction`, or with `clean` `x + step_size * (prediction - x)`.

    The first is for a network that predicts the velocity (Lipman et al. 2022, arXiv 2210.02747); the second
    for one that predicts the clean chunk, with a step size of 1 / (steps - step). Rows that the robot will
    have executed already can be kept at what they are (Black et al. 2025, arXiv 2512.05964).

    Args:
        x: Noisy chunks [..., T, W]: float32, float16 or bfloat16.
        prediction: Of the network, of the same shape; its dtype may be another one.
        step_size: Part of the flow time, or of the way to the clean chunk; finite. A graph keeps its value.
        clean: Whether the prediction is the clean chunk.
        decided: Values of the decided rows, of the shape and dtype of `x`.
        decided_rows: How many rows of each chunk, from its first, are decided: int32 [...]. Any number is
            taken: none below 1, all from T.
        out: Where to write, like `x`, which it may be; made if None.

    Raises:
        BadArgument: If an argument is not as expected.
    """
    device = check_activations("x", x)
    if x.ndim < 2:
        raise BadArgument(f"x: expected the shape [..., T, W], got {list(x.shape)}")
    if not math.isfinite(step_size):
        raise BadArgument(f"step_size: expected a finite number, got {step_size}")
    check_beside("prediction", prediction, x, x.shape)
    if decided is not None and decided_rows is not None:
        check_beside("decided", decided, x, x.shape, dtypes=None)
        check_beside("decided_rows", decided_rows, x, x.shape[:-2], dtypes=("int32",))
    elif decided is not None or decided_rows is not None:
        raise BadArgument("decided, decided_rows: expected both or neither")
    if out is not None:
        check_beside("out", out, x, x.shape, dtypes=None)
    return device
