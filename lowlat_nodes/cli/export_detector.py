# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat export detector`: a YOLOv10 checkpoint as the ONNX file that the detector node runs."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.vision.layouts.names import COCO

_NAMES_LIMIT: Final = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Write a YOLOv10 checkpoint as ONNX; with trained weights of other projects, their licence holds.

    A checkpoint is a safetensors file or a plain state dict of torch, under the published names or those of
    `lowlat train detector`. An end-to-end ONNX file of ours will do as well: it is written anew for images of
    another size.
    """
    parser = argparse.ArgumentParser(prog="lowlat export detector", description=main.__doc__)
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a .safetensors, .pt, .pth or .onnx file"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--scale", help="of the checkpoint: n, s, m, b, l or x; an ONNX file says itself")
    parser.add_argument(
        "--size",
        default="640",
        metavar="PX",
        help="side of the images, or HEIGHTxWIDTH (default: %(default)s)",
    )
    parser.add_argument(
        "--names", metavar="FILE", help="names of the classes, one a line, or coco; default: their numbers"
    )
    parser.add_argument(
        "--form",
        choices=("end_to_end", "one_to_one", "one_to_many"),
        default="end_to_end",
        help="detections; or, for each anchor, what the one-to-one head says, or the one that needs NMS "
        "(default: %(default)s)",
    )
    options = parser.parse_args(argv)
    for module in ("torch", "onnx"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra="train")
    if options.output.suffix != ".onnx":
        raise ConfigurationError(f"--output: expected the name of an .onnx file, got {options.output}")
    from lowlat_nodes.train.yolov10.checkpoint import load_checkpoint
    from lowlat_nodes.train.yolov10.export import export_onnx, resize_onnx
    from lowlat_nodes.train.yolov10.scales import scale_named

    height, width = _size(options.size)
    if options.checkpoint.suffix == ".onnx":
        error = resize_onnx(options.checkpoint, options.output, height, width)
        print(f"{options.output}: {width} x {height} px; at most {error:.2g} from torch", file=sys.stderr)
        return 0
    if options.scale is None:
        parser.error("expected --scale n, s, m, b, l or x: a checkpoint does not say it")
    scale, names = scale_named(options.scale), _names(options.names)
    model = load_checkpoint(options.checkpoint, scale)
    error = export_onnx(
        model, options.output, height, width, names or tuple(map(str, range(model.classes))), options.form
    )
    print(
        f"{options.output}: YOLOv10-{scale.name.upper()}, {model.classes} classes, {width} x {height} px, "
        f"{options.form}; at most {error:.2g} from torch",
        file=sys.stderr,
    )
    return 0


def _size(text: str) -> tuple[int, int]:
    """Return height and width in px."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdecimal() and len(side) < 6 for side in sides):
        raise ConfigurationError(f"--size: expected a number of px such as 640, or 480x640, got {text!r:.80}")
    return int(sides[0]), int(sides[-1])


def _names(source: str | None) -> tuple[str, ...]:
    """Return the names in a file, those of COCO, or none."""
    if source is None:
        return ()
    if source == "coco":
        return COCO
    path = Path(source)
    try:
        if path.stat().st_size > _NAMES_LIMIT:
            raise ConfigurationError(f"--names: expected at most {_NAMES_LIMIT} bytes, got {path}")
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--names: expected coco, or a text file: {error}") from error
    if not all(names):
        raise ConfigurationError(
            f"--names: expected a name in every line of {path}, line {names.index('') + 1} is empty"
        )
    return names
