# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import TypeAlias

_Refusal: TypeAlias = tuple[int, int, int, int, int]

class Machine:
    def __init__(
        self,
        code: bytes,
        symbols: bytes,
        layouts: tuple[tuple[int, bytes, tuple[tuple[int, int], ...]], ...],
        max_rows: int,
        max_bytes: int,
    ) -> None: ...
    def read(
        self, bodies: Sequence[bytes | bytearray | memoryview]
    ) -> tuple[tuple[tuple[int, bytearray, bytearray], ...], list[_Refusal]]: ...
    def length(self, body: bytes | bytearray | memoryview) -> tuple[int, _Refusal | None]: ...
