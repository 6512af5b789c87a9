# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of named tensors: safetensors, and plain state dicts of torch; pickled programs are refused."""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from lowlat_nodes.stream.errors import ConfigurationError

_BYTES_LIMIT: Final = 1 << 31
_HEADER_LIMIT: Final = 1 << 24
_DTYPES: Final[Mapping[str, torch.dtype]] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's tensors by name.

    A zip archive is read as a state dict of torch, anything else as safetensors. Raises ConfigurationError
    for a file that is neither, is damaged, is larger than 2 GiB, or holds more than tensors.
    """
    if not path.is_file():
        raise ConfigurationError("expected a file of weights, found none")
    try:
        size, archive = path.stat().st_size, zipfile.is_zipfile(path)
        if archive:
            with zipfile.ZipFile(path) as opened:
                size = sum(item.file_size for item in opened.infolist())
        if size > _BYTES_LIMIT:
            raise ConfigurationError(f"expected at most {_BYTES_LIMIT} bytes of weights, got {size}")
        return _read_state_dict(path) if archive else read_safetensors(path.read_bytes())
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"expected a file of weights: {error}") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigurationError(
            f"expected a plain state dict, got a pickled program, which could do anything. Where you "
            f'trust it, in the environment that it comes from, make one: python -c "import torch; m = '
            f"torch.load('{path.name}', map_location='cpu', weights_only=False); m = m['model'] if "
            f"isinstance(m, dict) else m; torch.save(m.state_dict(), 'weights.pt')\""
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ConfigurationError(f"expected a state dict of torch: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"expected a dict of tensors by name, got a {type(found).__name__}; save model.state_dict()"
        )
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ConfigurationError(
                f"expected a dict of tensors by name, got a {type(value).__name__} under "
                f"{str(name)!r:.80}; save model.state_dict() alone"
            )
    return found


def read_safetensors(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file: u64 length of a JSON header, the header, the numbers.

    Raises ConfigurationError for any other content. The format: https://huggingface.co/docs/safetensors.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 0 < length <= min(len(content) - 8, _HEADER_LIMIT):
        raise ConfigurationError(
            f"expected safetensors, or a state dict of torch; the header would have {length} bytes of "
            f"a file of {len(content)}"
        )
    try:
        header = json.loads(content[8 : 8 + length])
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"expected a JSON object as safetensors header: {error}") from error
    numbers = bytearray(content[8 + length :])  # torch reads in place, and warns of what it could not write
    return {name: _tensor(numbers, name, entry) for name, entry in entries}


def _tensor(numbers: bytearray, name: str, entry: Any) -> Tensor:
    try:
        dtype, shape = _DTYPES[entry["dtype"]], [int(size) for size in entry["shape"]]
        start, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{name!r:.80}: expected dtype ({', '.join(_DTYPES)}), shape and two data_offsets, got "
            f"{entry!r:.200}"
        ) from error
    expected = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 1 or not 0 <= start <= end <= len(numbers) or end - start != expected:
        raise ConfigurationError(
            f"{name!r:.80}: expected {expected} bytes for shape {shape}, got data_offsets "
            f"{start} to {end} of {len(numbers)}; is the file complete?"
        )
    return torch.frombuffer(numbers, dtype=dtype, count=math.prod(shape), offset=start).reshape(shape)
