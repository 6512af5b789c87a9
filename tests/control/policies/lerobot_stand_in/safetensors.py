# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for safetensors: reads and writes its format (8 bytes of length, a JSON header, the tensors)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch


class _Slice:
    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def __getitem__(self, index: Any) -> torch.Tensor:
        return self._tensor[index]


class _File:
    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def keys(self) -> list[str]:
        return list(self._tensors)

    def get_tensor(self, name: str) -> torch.Tensor:
        return self._tensors[name]

    def get_slice(self, name: str) -> _Slice:
        return _Slice(self._tensors[name])


def load(path: Path) -> dict[str, torch.Tensor]:
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, item in json.loads(data[8 : 8 + size]).items():
        assert item["dtype"] == "F32"
        begin, end = item["data_offsets"]
        part = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4, offset=8 + size + begin)
        tensors[name] = part.reshape(item["shape"]).clone()
    return tensors


@contextlib.contextmanager
def safe_open(path: str, *, framework: str) -> Iterator[_File]:
    assert framework == "pt"
    yield _File(load(Path(path)))
