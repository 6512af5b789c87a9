# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat quantize`: makes an INT8 model of a detector, unless it would see worse."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lowlat_nodes.cli.arguments import assignment, not_negative, whole
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from lowlat_nodes.train.quantisation.samples import Sample
    from lowlat_nodes.vision.layouts.layout import Layout
    from lowlat_nodes.vision.layouts.settings import LayoutSettings

EXIT_REFUSED = 1
_REPAIR = 10
_LEAST_IMAGES = 2


def main(argv: Sequence[str]) -> int:
    """Run `lowlat quantize`.

    Args:
        argv: The arguments after `quantize`.

    Returns:
        0; 1 if the gate refused the model and nothing was written. What is wrong with files is raised.
    """
    options = _parser().parse_args(argv)
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtra("onnx", "onnx")
    from lowlat_nodes import resources
    from lowlat_nodes.train.quantisation.gate import Limits
    from lowlat_nodes.train.quantisation.quantise import Job, quantise
    from lowlat_nodes.train.quantisation.report import as_json, as_text
    from lowlat_nodes.train.quantisation.seeing import layout_of
    from lowlat_nodes.train.quantisation.source import read_source

    path = resources.model(options.model)
    # A model that ships lies where nobody should write; the file goes to the current folder then.
    out = options.out or Path(options.model).expanduser().with_name(f"{path.stem}_int8.onnx")
    if not out.parent.is_dir():
        raise ConfigurationError(f"--out {out}: expected a folder, there is no {out.parent}")
    if out.resolve() == path.resolve():
        raise ConfigurationError(f"--out {out}: expected another file than the model itself")
    source = read_source(path)
    layout = layout_of(path, _settings(options))
    if options.labels is not None and options.images is None:
        raise ConfigurationError("--labels belong to --images; rendered shapes bring their own")
    calibration, judging = _samples(options, layout)
    job = Job(
        source,
        layout,
        out,
        runtime=options.runtime,
        limits=Limits(_max_drop(options), options.min_score_ratio),
        repair=options.repair,
        method=options.calibration,
        include=tuple(options.include),
        ranking=options.layers,
    )
    outcome = quantise(job, calibration, judging, say=_say)
    print(json.dumps(as_json(job, outcome)) if options.json else as_text(job, outcome))
    return 0 if outcome.written else EXIT_REFUSED


def _max_drop(options: argparse.Namespace) -> float:
    from lowlat_nodes.train.quantisation.gate import DISAGREEMENT, DROP

    if options.max_drop is not None:
        return float(options.max_drop)
    return DISAGREEMENT if options.images is not None and options.labels is None else DROP


def _samples(options: argparse.Namespace, layout: Layout) -> tuple[list[Sample], list[Sample]]:
    """Return images to calibrate with, and others to judge by."""
    from lowlat_nodes.train.quantisation.coco import read_coco
    from lowlat_nodes.train.quantisation.samples import image_files, read_sample, rendered

    if options.shapes:
        size = layout.image.width, layout.image.height
        return (
            rendered("train", options.calibrate, layout.names, *size),
            rendered("test", options.shapes, layout.names, *size),
        )
    if options.labels is None:
        paths = image_files(options.images)
        first, second = _halves(options, len(paths))
        return [read_sample(paths[n]) for n in first], [read_sample(paths[n]) for n in second]
    annotations = read_coco(options.labels, layout.names)
    if annotations.left_out:
        _say(f"categories that the model does not know, left out: {', '.join(annotations.left_out[:12])}")
    first, second = _halves(options, len(annotations.files))
    return annotations.samples(options.images, first), annotations.samples(options.images, second)


def _halves(options: argparse.Namespace, count: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the images to calibrate with, and of those to judge by."""
    from lowlat_nodes.train.quantisation.samples import spread

    if count < _LEAST_IMAGES:
        raise ConfigurationError(f"{options.images}: expected at least {_LEAST_IMAGES} images, got {count}")
    return spread(range(0, count, 2), options.calibrate), spread(range(1, count, 2), options.judge)


def _settings(options: argparse.Namespace) -> LayoutSettings:
    import yaml

    from lowlat_nodes.stream.config import build
    from lowlat_nodes.vision.layouts.settings import LayoutSettings

    return build(LayoutSettings, {name: yaml.safe_load(value) for name, value in options.layout})


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lowlat quantize", description=__doc__)
    parser.add_argument("model", help="the detector, an .onnx file in fp32, or the name of one that ships")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--images", type=Path, metavar="FOLDER", help="JPEG and PNG images of what it is to see"
    )
    source.add_argument(
        "--shapes",
        type=whole,
        nargs="?",
        const=300,
        metavar="N",
        help="rendered shapes instead, for models of these; N of them to judge by (300)",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="JSON", help="COCO annotations of --images; else fp32 is the reference"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: MODEL_int8.onnx beside the model")
    parser.add_argument(
        "--runtime",
        choices=("openvino", "onnxruntime"),
        default="openvino",
        help="what the file is to be fast in (default: openvino)",
    )
    parser.add_argument(
        "--max-drop",
        type=not_negative,
        metavar="AP",
        help="most it may lose (default: 0.01; without labels 0.05 of the agreement)",
    )
    parser.add_argument(
        "--min-score-ratio",
        type=not_negative,
        default=0.5,
        metavar="SHARE",
        help="least share of the best scores to be kept (default: 0.5)",
    )
    parser.add_argument(
        "--repair",
        type=whole,
        nargs="?",
        const=_REPAIR,
        default=0,
        metavar="N",
        help=f"keep up to N of the worst layers in fp32 until the gate is passed ({_REPAIR})",
    )
    parser.add_argument("--layers", action="store_true", help="rank the layers even if the gate is passed")
    parser.add_argument("--calibrate", type=whole, default=100, metavar="N", help="images (default: 100)")
    parser.add_argument("--judge", type=whole, default=200, metavar="N", help="of --images (default: 200)")
    parser.add_argument(
        "--calibration",
        choices=("minmax", "percentile"),
        default="percentile",
        help="how ranges follow from what is seen (default: percentile)",
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="NODE",
        help="quantise this one too, even in the head's tail",
    )
    parser.add_argument(
        "--layout",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="a layout parameter of the detector node, such as normalisation:=imagenet",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
