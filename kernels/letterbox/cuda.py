# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox on a GPU: one launch, whatever the sizes and encodings of the images.

A block of threads makes a tile of one image's place in the batch, and reads what that image is from a row of
a table. Cameras write into the same memory again and again: tables are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.launching import beside
from lowlat_nodes.kernels.letterbox import tiles
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS
from lowlat_nodes.kernels.letterbox.images import Placement, size_of, strides_of
from lowlat_nodes.kernels.letterbox.results import result
from lowlat_nodes.kernels.letterbox.target import Target

_ROWS, _COLUMNS = 4, 128
_MOST_BLOCKS = 65535  # of a grid, in its second and third dimension

_COLOURS, _GREY, _YUV, _MOSAIC = (
    int(kind.value) for kind in (tiles.COLOURS, tiles.GREY, tiles.YUV, tiles.MOSAIC)
)


def run(
    images: Sequence[Any],
    encodings: Sequence[str],
    placements: Sequence[Placement],
    target: Target,
    *,
    out: Any = None,
    filled: bool = False,
) -> Any:
    """Compute the operation `letterbox` on the current stream.

    Raises:
        BadArgument: If the images are not on one GPU, or more than a grid has blocks.
        RuntimeError: If the stream is being captured, where `prepared` serves.
    """
    device = _one_device([*images, *([] if out is None else [out])])
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "letterbox: expected no capture of a CUDA graph; prepare the launch and capture that"
        )
    _check_blocks(len(images), target)
    out = result(images, target, out)
    with beside(out):
        prepared(images, encodings, placements, target, out, filled=filled)()
    return out


def prepared(
    images: Sequence[Any],
    encodings: Sequence[str],
    placements: Sequence[Placement],
    target: Target,
    out: torch.Tensor,
    *,
    filled: bool = False,
) -> Callable[[], Any]:
    """Return the launch alone, which a CUDA graph may capture and repeat for the same memory.

    It keeps `out` and its table of images; the images must be kept by whoever has them. The arguments are
    those of an operation that was checked.
    """
    every = zip(images, encodings, placements, strict=True)
    rows = tuple(
        _row(
            image.data_ptr(),
            strides_of(image)[0],
            size_of(image, encoding),
            encoding,
            tuple(placement),
            target.channels,
        )
        for image, encoding, placement in every
    )
    kinds = functools.reduce(int.__or__, map(_kind, encodings))
    launch: Any = tiles.place[_blocks(len(images), target)]
    return functools.partial(
        launch,
        _table(rows, out.device, _stream(out.device)),
        out,
        target.height,
        target.width,
        *target.gain,
        *target.offset,
        target.fill,
        target.zero_point,
        KINDS=kinds,
        FILLED=filled,
        PIECE=_piece(out),
        ROWS=_ROWS,
        COLUMNS=_COLUMNS,
        num_warps=_warps(kinds),
    )


def _blocks(count: int, target: Target) -> tuple[int, int, int]:
    return triton.cdiv(target.width, _COLUMNS), triton.cdiv(target.height, _ROWS), count


def _check_blocks(count: int, target: Target) -> None:
    if max(_blocks(count, target)[1:]) > _MOST_BLOCKS:
        raise BadArgument(
            f"expected at most {_MOST_BLOCKS} images and {_MOST_BLOCKS * _ROWS} rows of the target, got "
            f"{count} and {target.height}"
        )


@functools.cache
def _kind(encoding: str) -> int:
    known = ENCODINGS[encoding]
    if known.mosaic:
        return _MOSAIC
    if known.luma is not None:
        return _YUV
    return _COLOURS if known.colours else _GREY


@functools.lru_cache(maxsize=1024)
def _row(
    address: int, stride: int, size: tuple[int, int], encoding: str, placement: Placement, channels: str
) -> tuple[int, ...]:
    """Return what a tile must know of an image, in the order of the fields."""
    known = ENCODINGS[encoding]
    width, height = size
    left, top, placed_width, placed_height = placement
    swapped = channels != "rgb" if known.mixed else not known.colours.startswith(channels)
    luma = known.luma or 0
    # U is beside the first luma, where it is not in planes below all of them.
    chroma = height * stride if known.planes else 1 - luma
    red = known.mosaic.find("r")
    steps = *_steps(width, placed_width), *_steps(height, placed_height)
    row = (
        *(address, stride, known.channels, _kind(encoding), int(swapped)),
        *(left, top, left + placed_width, top + placed_height, width - 1, height - 1),
        *steps,
        int(not any(step % (1 << 32) for step in steps)),
        *(luma, chroma, known.channels, int(known.planes)),
        *(red // 2, red % 2),
    )
    return row + (0,) * (int(tiles.FIELDS.value) - len(row))


def _steps(source: int, target: int) -> tuple[int, int]:
    """Return where the first pixel lies and how far apart they are, in 1 / 2 ** 32 of a source pixel."""
    half = target // 2
    return ((source << 31) + half) // target - (1 << 31), ((source << 32) + half) // target


@functools.lru_cache(maxsize=64)
def _table(rows: tuple[tuple[int, ...], ...], device: torch.device, stream: int) -> torch.Tensor:
    """Return the table in the memory of a device, where one stream finds it; others would have to wait."""
    del stream  # tells tables of several apart
    table = torch.tensor(rows, dtype=torch.int64, pin_memory=device.type == "cuda")
    return table.to(device, non_blocking=True)


def _piece(out: torch.Tensor) -> int:
    """Return how many values of a row can be stored at once: 16 bytes, where rows are a multiple of that."""
    piece = 16 // out.element_size()
    return 1 if out.shape[-1] % piece else piece


def _warps(kinds: int) -> int:
    """Return how many warps share a tile: a pixel of YUV or a mosaic takes twice the registers of others."""
    return 4 if kinds & (_YUV | _MOSAIC) else 2


def _one_device(tensors: Sequence[Any]) -> torch.device:
    for tensor in tensors:
        if not isinstance(tensor, torch.Tensor) or not (tensor.is_cuda or triton.knobs.runtime.interpret):
            raise BadArgument("expected tensors on an NVIDIA GPU, got an array of the host; copy it there")
    devices = list(dict.fromkeys(tensor.device for tensor in tensors))
    if len(devices) > 1:
        raise BadArgument(f"expected all images and out on one GPU, got {', '.join(map(str, devices))}")
    return devices[0]


def _stream(device: torch.device) -> int:
    """Return the current stream of a device, 0 in the interpreter."""
    return int(torch.cuda.current_stream(device).cuda_stream) if device.type == "cuda" else 0


_SIGNATURE = {
    "table": "*i64",
    "height": "i32",
    "width": "i32",
    "fill": "fp32",
    "zero_point": "i32",
    **{f"{name}_{channel}": "fp32" for name in ("gain", "offset") for channel in range(3)},
}

COMPILATIONS = tuple(
    Compilation(
        tiles.place,
        {**_SIGNATURE, "out": out},
        {"KINDS": kinds, "FILLED": filled, "PIECE": piece, "ROWS": _ROWS, "COLUMNS": _COLUMNS},
        {"num_warps": _warps(kinds)},
        aligned=("table", "out"),
    )
    for out, piece, kinds, filled in (
        ("*fp16", 8, _COLOURS, False),
        ("*i8", 1, _COLOURS | _GREY, True),
        ("*fp32", 4, _YUV, False),
        ("*i8", 16, _COLOURS | _GREY | _YUV | _MOSAIC, False),
    )
)
