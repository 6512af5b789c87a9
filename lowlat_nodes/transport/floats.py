# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of 32 bits as numbers of 64 and back, with the bits of every NaN.

Processors make a signalling NaN a quiet one when they convert it, and IEEE 754 lets them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NAN, _PAYLOAD, _QUIET = np.uint64(0x7FF << 52), np.uint64(0x7FFFFF), np.uint32(1 << 22)
_SHORTER = np.uint64(29)  # bits of the fraction of a number of 32 bits
_SIGN32, _SIGN64 = np.uint64(31), np.uint64(63)


def widen(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return float64 [n] for float32 [n]."""
    nan = np.isnan(values)
    with np.errstate(invalid="ignore"):
        wide = values.astype(np.float64)
    if nan.any():
        bits = values[nan].view(np.uint32).astype(np.uint64)
        wide.view(np.uint64)[nan] = bits >> _SIGN32 << _SIGN64 | _NAN | (bits & _PAYLOAD) << _SHORTER
    return wide


def narrow(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 [n] for float64 [n], the reverse of `widen`; other values are rounded."""
    nan = np.isnan(values)
    with np.errstate(invalid="ignore", over="ignore"):
        short = values.astype(np.float32)
    if nan.any():
        bits = values[nan].view(np.uint64)
        payload = (bits >> _SHORTER & _PAYLOAD).astype(np.uint32)
        payload[payload == 0] = _QUIET  # without any bit it would be infinity
        sign = (bits >> _SIGN64 << _SIGN32).astype(np.uint32)
        short.view(np.uint32)[nan] = sign | np.uint32(0xFF << 23) | payload
    return short
