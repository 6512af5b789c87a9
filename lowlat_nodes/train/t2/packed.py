# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights in safetensors files, as few bytes as their values allow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from lowlat_nodes.train.t2.cluster import CLUSTERS
from lowlat_nodes.train.yolov10.weights import read_safetensors

_NAMES: Final = {torch.float32: "F32", torch.int8: "I8", torch.uint8: "U8"}


def write_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Return a safetensors file: u64 length of a JSON header, the header, the numbers."""
    header, numbers = {}, bytearray()
    # The widest first, so that each begins at a multiple of its size.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        content = tensor.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(numbers), len(numbers) + len(content)],
        }
        numbers += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + numbers


def pack(weights: Mapping[str, Tensor], *, int8: bool = False) -> dict[str, Tensor]:
    """Return weights in fewer bytes: matrices of few values as indices of 4 bits, others as int8 if wanted.

    Matrices of at most 16 values become `name.values`, `name.indices` (two in a byte) and `name.shape`; with
    `int8`, others become `name.int8` and `name.scale`, symmetric for the whole matrix. Vectors stay.
    """
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        values = weight.unique()
        if weight.ndim > 1 and len(values) <= CLUSTERS:
            index = torch.searchsorted(values, weight.flatten()).to(torch.uint8)
            index = torch.cat([index, index.new_zeros(len(index) % 2)])
            packed[f"{name}.values"] = values
            packed[f"{name}.indices"] = index[::2] | index[1::2] << 4
            packed[f"{name}.shape"] = torch.tensor(weight.shape, dtype=torch.float32)
        elif weight.ndim > 1 and int8:
            scale = weight.abs().max() / 127.0
            packed[f"{name}.int8"] = torch.round(weight / scale).to(torch.int8)
            packed[f"{name}.scale"] = scale.reshape(1)
        else:
            packed[name] = weight
    return packed


def unpack(content: bytes) -> dict[str, Tensor]:
    """Return the weights of a file of `pack` and `write_safetensors`, float32.

    Raises:
        ConfigurationError: If it is no safetensors file.
    """
    found, held = {}, read_safetensors(content)
    for key, tensor in held.items():
        name, _, part = key.rpartition(".")
        if part == "values":
            pairs, shape = held[f"{name}.indices"], [int(size) for size in held[f"{name}.shape"]]
            index = torch.stack([pairs & 15, pairs >> 4], dim=1).flatten().long()
            found[name] = tensor[index[: torch.Size(shape).numel()]].view(shape)
        elif part == "int8":
            found[name] = tensor.float() * held[f"{name}.scale"]
        elif part not in {"indices", "shape", "scale"}:
            found[key] = tensor
    return found
