# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How many kernels an Euler step of a policy with the shapes of pi0 launches; no GPU is needed to know it.

Operators of torch that compute or copy something are counted as they are dispatched, one launch each, which
is the least that they are on a GPU. torch's RMS norm is one there and several on a CPU; it counts as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

_FREE = ("_unsafe_view", "empty", "new_empty", "empty_like", "detach")
"""Operators beside views that launch nothing."""


class Launches:
    """Counts of one Euler step.

    Attributes:
        plain: Of torch's operators only.
        ours: With each of the operations of `lowlat_nodes.kernels.flow` as one.
    """

    def __init__(self) -> None:
        self.plain = 0
        self.ours = 0
        self._in_ours = False
        self._in_norm = False

    def operator(self) -> None:
        """Count an operator of torch."""
        if not self._in_norm:
            self.plain += 1
            self.ours += not self._in_ours

    @contextmanager
    def norm(self) -> Iterator[None]:
        """Count one operator, whatever is dispatched in it."""
        self.operator()
        self._in_norm = True
        yield
        self._in_norm = False

    def one_of_ours(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return an operation that counts as one of ours, and as its operators in plain torch."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self.ours += 1
            self._in_ours = True
            result = call(*arguments, **named)
            self._in_ours = False
            return result

        return counted


def count(depth: int, *, ada_rms: bool = True) -> Launches:
    """Count the launches of an Euler step, without those that `precompute` saves.

    Args:
        depth: Layers; other sizes do not matter.
        ada_rms: As in `Pi0Config`.
    """
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    from lowlat_nodes.benchmarks._pi0_shape import EAGER, SIZES, Operations, Pi0Shape

    launches = Launches()

    class Dispatched(TorchDispatchMode):
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if not operator.is_view and operator.overloadpacket.__name__ not in _FREE:
                launches.operator()
            return operator(*args, **(kwargs or {}))

    class Called(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function is functional.rms_norm:
                with launches.norm():
                    return function(*args, **(kwargs or {}))
            return function(*args, **(kwargs or {}))

    config = replace(SIZES["tiny"], cameras=1, vision_depth=0, depth=depth, ada_rms=ada_rms)
    policy = Pi0Shape(config).to(torch.bfloat16)
    policy.precompute()
    inputs = policy.example_inputs()
    cache = policy.prefix(inputs)
    policy.operations = Operations(*(launches.one_of_ours(call) for call in EAGER))
    with Dispatched(), Called():
        policy.denoise_step(inputs["noise"], 0, cache, inputs["state"])
    return launches
