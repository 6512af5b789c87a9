# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays that are filled where readers will see them."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Self


class Claim:
    """Memory of a message, as long as arrays on it exist in the process of its writer."""

    def __init__(self) -> None:
        self.open = True
        """It may still be published."""
        self.array: weakref.ref[NDArray[Any]] | None = None
        """The array that was lent."""


class Loan:
    """Memory for a message, to be filled and then published without a copy.

    As a context manager, it forgets the array at the end. The memory is used again when no array or view on
    it is left in this process, and no reader holds it: so a view that is kept stays what it is.
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
        """Forget the array; it cannot be published any more."""
        self.claim.open = False
        self._array = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()


class Loans:
    """The loans of a writer, found by the addresses of their arrays. For one thread at a time."""

    def __init__(self) -> None:
        self._claims: dict[int, weakref.ref[Claim]] = {}

    def lend(
        self, claim: Claim, memory: ctypes.Array[ctypes.c_ubyte], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Loan:
        """Return an array at the beginning of some memory; it keeps the claim."""
        memory.claim = claim  # type: ignore[attr-defined]
        array: NDArray[Any] = np.ndarray(shape, dtype, memoryview(memory))
        claim.array = weakref.ref(array)
        self._claims = {each: known for each, known in self._claims.items() if known() is not None}
        self._claims[_address(array)] = weakref.ref(claim)
        return Loan(array, claim)

    def find(self, array: NDArray[Any]) -> Loan | None:
        """Return the loan at whose beginning an array lies, if it can still be published."""
        if not self._claims or not array.flags.c_contiguous:
            return None
        known = self._claims.get(_address(array))
        claim = None if known is None else known()
        lent = None if claim is None or claim.array is None else claim.array()
        if claim is None or not claim.open or (lent is not None and array.nbytes > lent.nbytes):
            return None
        return Loan(array, claim)


def seal(loan: Loan) -> None:
    """Let nothing be written to the array of a loan any more.

    Raises:
        ValueError: If it has been published or given back.
    """
    array = loan.array
    if not loan.claim.open:
        raise ValueError("this loan has been published: take a new one for the next message")
    loan.claim.open = False
    lent = None if loan.claim.array is None else loan.claim.array()
    for each in (array, lent):
        if each is not None:
            each.flags.writeable = False


def plain(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype that may lie in shared memory.

    Raises:
        ValueError: If it holds Python objects.
    """
    if kind.hasobject:
        raise ValueError(f"expected a dtype without Python objects, got {kind}")
    return kind


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
