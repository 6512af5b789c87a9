# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Published energies of single operations, with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class OperationCosts:
    """What arithmetic and memory cost in one generation of chips, pJ, by type of number.

    A type that is not in a mapping has no published figure there.

    Attributes:
        name: Such as `45nm`.
        source: Where the figures are from, and what is put together from them.
        add_pj: An addition; also what an accumulate of a spiking network is.
        multiply_pj: A multiplication.
        mac_pj: A multiplication and the addition to a sum, in the type of sum that goes with it.
        sram_pj: A byte read from, or written to, a megabyte of memory on the chip; None for no figure.
        dram_pj: A byte read from, or written to, memory off the chip; None for no figure.
    """

    name: str
    source: str
    add_pj: Mapping[str, float]
    multiply_pj: Mapping[str, float]
    mac_pj: Mapping[str, float]
    sram_pj: float | None
    dram_pj: float | None


def _costs(
    name: str,
    source: str,
    add_pj: dict[str, float],
    multiply_pj: dict[str, float],
    sums: dict[str, str],
    word_pj: tuple[float, float] | None,
) -> OperationCosts:
    """Make a table; `sums` has the type of sum for each type of product, `word_pj` is for 64 bits."""
    mac_pj = {number: multiply_pj[number] + add_pj[total] for number, total in sums.items()}
    sram_pj, dram_pj = (None, None) if word_pj is None else (word_pj[0] / 8.0, word_pj[1] / 8.0)
    return OperationCosts(
        name,
        source,
        MappingProxyType(add_pj),
        MappingProxyType(multiply_pj),
        MappingProxyType(mac_pj),
        sram_pj,
        dram_pj,
    )


HOROWITZ_45NM = _costs(
    "45nm",
    "M. Horowitz, 'Computing's energy problem (and what we can do about it)', ISSCC 2014: 45 nm, 0.9 V; "
    "int8 summed in int32; 64 bits cost 100 pJ in a cache of 1 MB and 1.3 nJ (of 1.3 to 2.6) in DRAM",
    add_pj={"int8": 0.03, "int32": 0.1, "float16": 0.4, "float32": 0.9},
    multiply_pj={"int8": 0.2, "int32": 3.1, "float16": 1.1, "float32": 3.7},
    sums={"int8": "int32", "float16": "float16", "float32": "float32"},
    word_pj=(100.0, 1300.0),
)
"""The figures that nearly every paper uses; a MAC of float32 is its 4.6 pJ, an accumulate its 0.9 pJ."""

JOUPPI_7NM = _costs(
    "7nm",
    "N. Jouppi et al., 'Ten lessons from three generations shaped Google's TPUv4i', ISCA 2021, table 2: "
    "7 nm; int8 summed in int32, bfloat16 in float32; arithmetic only",
    add_pj={"int32": 0.03, "float32": 0.38},
    multiply_pj={"int8": 0.07, "bfloat16": 0.21, "float32": 1.31},
    sums={"int8": "int32", "bfloat16": "float32", "float32": "float32"},
    word_pj=None,
)
"""A newer chip; of its table, what could be checked for this package."""

TABLES = MappingProxyType({costs.name: costs for costs in (HOROWITZ_45NM, JOUPPI_7NM)})
"""By name."""
