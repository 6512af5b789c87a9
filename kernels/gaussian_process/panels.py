# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The step that Cholesky factorisation and forward substitution consist of, kept in vector registers.

Matrices lie in panels of `WIDTH` columns, each panel row by row, and are worked on four rows at a time.
LLVM's own vectoriser makes less of such loops: it does not keep the four rows in registers.
"""

from __future__ import annotations

from typing import Any, Final

from numba import types
from numba.core import cgutils
from numba.core.cgutils import ir  # that of llvmlite, which numba brings
from numba.extending import intrinsic

WIDTH: Final = 16
"""Columns of a panel: two vectors of AVX-512, four of AVX2, eight of NEON; LLVM splits them as it must."""

ROWS: Final = 4
"""At a time: four rows by two vectors are as many sums as hide the latency of one multiplication."""

_DOUBLE, _INT64, _INT32 = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)
_FUSED = ("contract",)  # a product and a sum may be rounded once


@intrinsic  # type: ignore[untyped-decorator]
def eliminate(
    _typing_context: Any, panel: Any, row: Any, depth: Any, factor: Any, column: Any, corner: Any
) -> tuple[Any, Any]:
    """Solve for the next four rows of a panel X, where U^T X = B: rows `row` to `row` + 3.

    They become C^-T (B - A^T X'), X' the first `depth` rows of the panel, A their coefficients
    factor[:depth, column:column + 4], and C the upper triangle `corner`.

    Args:
        _typing_context: Numba's.
        panel: float64 [rows, WIDTH], contiguous; B where not yet solved.
        row: int64.
        depth: int64, at most `row`.
        factor: float64 [rows, WIDTH], contiguous: the panel of U with the columns `row` to `row` + 3; may be
            `panel` itself.
        column: int64, of `row` in `factor`.
        corner: float64 [4, 4], contiguous, its diagonal inverted.
    """
    signature = types.void(panel, row, depth, factor, column, corner)
    return signature, _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    def data(position: int) -> Any:
        array = context.make_array(signature.args[position])
        return array(context, builder, arguments[position]).data

    def element(base: Any, index: Any) -> Any:
        return builder.load(builder.gep(base, [index]))

    def row_at(index: Any) -> Any:
        return builder.bitcast(builder.gep(panel, [builder.mul(index, width)]), _VECTOR.as_pointer())

    def in_all_lanes(number: Any) -> Any:
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(nothing, number, ir.Constant(_INT32, 0))
        return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INT32, WIDTH), [0] * WIDTH))

    def less_product(vector: Any, number: Any, other: Any) -> Any:
        product = builder.fmul(in_all_lanes(number), other, flags=_FUSED)
        return builder.fsub(vector, product, flags=_FUSED)

    panel, factor, corner = data(0), data(3), data(5)
    _, row, depth, _, column, _ = arguments
    width = ir.Constant(_INT64, WIDTH)
    numbers = [ir.Constant(_INT64, number) for number in range(ROWS * ROWS)]

    places = [row_at(builder.add(row, number)) for number in numbers[:ROWS]]
    held = [cgutils.alloca_once_value(builder, builder.load(place, align=8)) for place in places]
    with cgutils.for_range(builder, depth) as loop:
        solved = builder.load(row_at(loop.index), align=8)
        coefficients = builder.gep(factor, [builder.add(builder.mul(loop.index, width), column)])
        for number, each in zip(numbers, held, strict=False):
            rest = less_product(builder.load(each), element(coefficients, number), solved)
            builder.store(rest, each)
    done: list[Any] = []
    for last, (place, each) in enumerate(zip(places, held, strict=True)):
        rest = builder.load(each)
        for before, above in enumerate(done):
            rest = less_product(rest, element(corner, numbers[before * ROWS + last]), above)
        inverse = element(corner, numbers[last * ROWS + last])
        done.append(builder.fmul(rest, in_all_lanes(inverse)))
        builder.store(done[-1], place, align=8)
    return context.get_dummy_value()
