# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of a run, which may not be there yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

Made: TypeAlias = Tensor | dict[str, Tensor]
"""What a run returns, as the policy returned it: one tensor, or several by name."""


@dataclass(slots=True)
class Times:
    """What one run took.

    Attributes:
        stage_us: µs of host time to check the inputs and to write them where they are copied from.
        submit_us: µs of host time from the first launch until the last one returned.
        device_us: µs of device time, NaN until the result was fetched.
    """

    stage_us: float = 0.0
    submit_us: float = math.nan
    device_us: float = math.nan


class Pending:
    """A run that was submitted; to be used by the thread that submitted it.

    Args:
        fetch: Waits for the run and returns its result; called once.
        done: Returns whether that would not wait.
    """

    def __init__(self, fetch: Callable[[], Made], done: Callable[[], bool]) -> None:
        self._fetch: Callable[[], Made] | None = fetch
        self._done = done
        self._made: Made | None = None

    def done(self) -> bool:
        """Return whether the result is there."""
        return self._made is not None or self._done()

    def result(self) -> Made:
        """Wait for the result and return it: tensors of the CPU that nobody else writes to."""
        self.fetch()
        assert self._made is not None
        return self._made

    def fetch(self) -> None:
        """Wait for the result and keep it, before what holds it is used again."""
        if self._fetch is not None:
            self._made = self._fetch()
            self._fetch = None


def ready(made: Made) -> Pending:
    """Return the pending result of a run that has ended."""
    return Pending(lambda: made, lambda: True)


def named(made: object) -> Mapping[str, Tensor]:
    """Return the outputs by name; a single one has the empty name.

    Raises:
        TypeError: If they are neither a tensor nor a mapping of tensors.
    """
    if isinstance(made, Tensor):
        return {"": made}
    if isinstance(made, Mapping):
        tensors = {name: each for name, each in made.items() if name and isinstance(each, Tensor)}
        if tensors and len(tensors) == len(made):
            return tensors
    kind = type(made).__name__
    raise TypeError(f"expected the policy to return a tensor or a mapping of names to tensors, got {kind}")
