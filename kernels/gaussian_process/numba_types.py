# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Types of arrays for numba: with these it compiles an operation once, as its module is imported."""

from __future__ import annotations

from numba import types

VOID, NUMBER = types.void, types.float64

OFFSETS = types.Array(types.int64, 1, "C", readonly=True, aligned=False)
ARRAY, ARRAY_2D = (types.Array(types.float64, n, "C", readonly=True, aligned=False) for n in (1, 2))
"""What is only read: any contiguous array will do."""

RESULT, RESULT_2D, RESULT_3D = (types.Array(types.float64, n, "C", aligned=False) for n in (1, 2, 3))
"""What a caller may have made."""

BUFFER, BUFFER_2D, BUFFER_3D = (types.Array(types.float64, n, "C") for n in (1, 2, 3))
