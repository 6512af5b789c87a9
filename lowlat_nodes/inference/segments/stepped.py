# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A TorchScript program that makes its result step by step, and gives way after each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from lowlat_nodes.inference.torchscript import TorchModel
from lowlat_nodes.inference.turn import UNSHARED, Turn
from lowlat_nodes.stream.errors import ConfigurationError

_STEPS = "steps"
_TYPES = {
    "begin": (None, ("List[Tensor]",)),  # takes what forward does
    "step": (("int", "int", "List[Tensor]"), ("List[Tensor]",)),
    "end": (("List[Tensor]",), None),  # returns what forward does
}
"""What each method takes and returns; None where it is checked elsewhere."""


class SteppedModel(TorchModel):
    """Runs the steps of a program one by one.

    The program has an input `steps`, int64 [1], and exports these methods beside `forward`, which does the
    same as all of them:

    ===================================================== ==================================================
    `begin(inputs of forward) -> List[Tensor]`            what passes from step to step: noise, features
    `step(int, int, List[Tensor]) -> List[Tensor]`        the same after a step: which one, and of how many
    `end(List[Tensor])`                                   what `forward` returns
    ===================================================== ==================================================

    Args:
        path: A file that `torchscript.save` wrote.
        threads: Threads within an operator.
        device: Where it runs, as PyTorch names it.
        turn: Whom to give way to.

    Raises:
        ConfigurationError: As `TorchModel` does, and if the program has not these methods.
        MissingExtra: If PyTorch is not installed.
    """

    methods: ClassVar[tuple[str, ...]] = ("forward", *_TYPES)

    def __init__(self, path: Path, *, threads: int = 1, device: str = "cpu", turn: Turn = UNSHARED) -> None:
        self._turn: Turn = UNSHARED  # while it is tried
        super().__init__(path, threads=threads, device=device, graphs=False)
        self._turn = turn

    def _check(self) -> None:
        missing = [name for name in self.methods if not hasattr(self._program, name)]
        if missing or _STEPS not in self.inputs:
            lacks = [*missing, *([] if _STEPS in self.inputs else [f"input {_STEPS!r}"])]
            raise ConfigurationError(
                f"turn.segment_ms: expected a program that makes its result in steps, with methods begin, "
                f"step and end (lowlat_nodes.inference.segments.stepped); {self.path} has no "
                f"{', '.join(lacks)} and runs in one piece: expected 0"
            )
        for name, (takes, gives) in _TYPES.items():
            schema = getattr(self._program, name).schema
            forward = self._program.forward.schema
            wanted = takes or _types(forward.arguments[1:]), gives or _types(forward.returns)
            found = _types(schema.arguments[1:]), _types(schema.returns)
            if found != wanted:
                raise ConfigurationError(
                    f"{self.path}: expected {name} to take {', '.join(wanted[0])} and return "
                    f"{', '.join(wanted[1])}; it takes {', '.join(found[0])} and returns "
                    f"{', '.join(found[1])}"
                )
        super()._check()

    def _call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        alive = self._program.begin(*(tensors[name] for name in self.inputs))
        count = int(tensors[_STEPS][0])
        for number in range(count):
            self._give_way()
            alive = self._program.step(number, count, alive)
        self._give_way()
        return self._by_name(self._program.end(alive))

    def _give_way(self) -> None:
        if self._on_gpu and self._turn is not UNSHARED:
            self._torch.cuda.synchronize(self._device)  # what is launched still has the device
        self._turn.between()


def _types(items: Any) -> tuple[str, ...]:
    return tuple(str(item.type) for item in items)
