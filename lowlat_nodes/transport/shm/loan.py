# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An array that is filled where readers will see it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lowlat_nodes.transport.shm.segment import Segment

if TYPE_CHECKING:
    from typing_extensions import Self


class Claim:
    """A slot as long as arrays on it exist in the process of its writer."""

    __slots__ = ("__weakref__", "array", "open", "segment", "slot")

    def __init__(self, segment: Segment, slot: int) -> None:
        self.segment = segment
        self.slot = slot
        self.open = True
        """It may still be published."""
        self.array: weakref.ref[NDArray[Any]] | None = None

    def __del__(self) -> None:
        # In whichever thread the last array goes away, perhaps amid anything: no locks here.
        self.segment.given_back.append(self.slot)

    def lend(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array at the beginning of the slot, which keeps the claim."""
        memory = self.segment.on_slot(self.slot)
        memory.claim = self  # type: ignore[attr-defined]
        array: NDArray[Any] = np.ndarray(shape, dtype, memoryview(memory))
        self.array = weakref.ref(array)
        return array


class Loan:
    """Memory in a slot, to be filled and then published without a copy.

    As a context manager, it forgets the array at the end. The slot is used again when no array or view on it
    is left in this process, and no reader holds it: so a view that is kept stays what it is.
    """

    __slots__ = ("_array", "claim")

    def __init__(self, array: NDArray[Any], claim: Claim) -> None:
        self._array: NDArray[Any] | None = array
        self.claim = claim

    @property
    def array(self) -> NDArray[Any]:
        """Return the array; it cannot be written to any more once it is published."""
        if self._array is None:
            raise ValueError("this loan has been given back: take a new one for the next message")
        return self._array

    def give_back(self) -> None:
        """Forget the array."""
        self.claim.open = False
        self._array = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()
