# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train detector`: YOLOv10 on rendered shapes, within a budget of time, with its card."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from lowlat_nodes.sim.shapes import ShapeSamples
    from lowlat_nodes.train.yolov10.batches import Batch
    from lowlat_nodes.train.yolov10.fit import FitConfig, Fitted
    from lowlat_nodes.train.yolov10.model import YoloV10

COPIES: Final = 2  # how often each rendered image is shown, turned differently
TEXTURES: Final = 8  # drawn backgrounds beside a dozen photographs
TRAIN_SHAPES: Final = (4, 16)  # denser than in the frames to judge by: more to learn from each image


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def training_images(side_px: int, seed: int) -> ShapeSamples:
    """Scenes to train on: photographs of the training split in changing colours, and drawn textures."""
    from lowlat_nodes.sim.shapes import ShapeSamples, ShapesConfig
    from lowlat_nodes.sim.shapes.dead_leaves import dead_leaves
    from lowlat_nodes.sim.shapes.photographs import photographs

    config = ShapesConfig(width_px=side_px, height_px=side_px, shapes=TRAIN_SHAPES, recolour=True)
    return ShapeSamples([*photographs("train"), *dead_leaves(TEXTURES, seed)], config, seed)


def unseen_images(side_px: int) -> ShapeSamples:
    """Scenes to judge by: photographs that no training image shows."""
    from lowlat_nodes.sim.shapes import ShapeSamples, ShapesConfig
    from lowlat_nodes.sim.shapes.photographs import photographs

    return ShapeSamples(
        photographs("test"), ShapesConfig(width_px=side_px, height_px=side_px), seed=1_000_000
    )


def training_batches(size: int, side_px: int, seed: int) -> Iterator[Batch]:
    """Batches of `training_images` without end."""
    import cv2

    from lowlat_nodes.train.yolov10.batches import collect

    cv2.setNumThreads(1)
    samples = training_images(side_px, seed)
    return collect(map(samples.frame, itertools.count()), size, copies=COPIES)


def main(argv: Sequence[str] | None = None) -> int:
    """Train YOLOv10 to find rendered shapes, and write it with its card; say how well it finds them."""
    parser = argparse.ArgumentParser(prog="lowlat train detector", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("trained"), help="gets shapes.onnx and shapes.md")
    parser.add_argument("--minutes", type=float, default=60.0, help="to train for (default: %(default)g)")
    parser.add_argument(
        "--clock",
        choices=("cpu", "wall"),
        default="cpu",
        help="minutes of CPU, all threads and processes counted, or minutes that pass (default: cpu)",
    )
    parser.add_argument("--scale", default="n", help="of YOLOv10: n, s, m, b, l or x (default: n)")
    parser.add_argument("--size", type=int, default=320, help="side of the images, px (default: 320)")
    parser.add_argument("--batch", type=int, default=8, help="images for each step (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and images (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: 1)")
    parser.add_argument("--from", dest="start", type=Path, help="weights to go on from; default: none")
    parser.add_argument(
        "--weights",
        type=Path,
        default=Path("trained/shapes.pt"),
        help="where to keep the weights so far (default: %(default)s)",
    )
    parser.add_argument("--frames", type=int, default=500, help="to judge by (default: 500)")
    options = parser.parse_args(argv)
    if options.minutes <= 0.0 or options.batch < COPIES or options.batch % COPIES or options.frames < 1:
        parser.error(
            f"expected --minutes above 0, --frames of at least 1 and --batch a multiple of {COPIES}, got "
            f"{options.minutes:g}, {options.frames} and {options.batch}"
        )
    for module in ("torch", "onnx", "skimage"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra="train")
    _train(options)
    return 0


def _train(options: argparse.Namespace) -> None:
    import torch

    from lowlat_nodes.sim.shapes import NAMES
    from lowlat_nodes.train.yolov10.batches import BatchProcess
    from lowlat_nodes.train.yolov10.checkpoint import load_checkpoint, save_checkpoint
    from lowlat_nodes.train.yolov10.fit import Budget, FitConfig, fit
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import scale_named

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    scale, config = scale_named(options.scale), FitConfig()
    net = YoloV10(scale, len(NAMES)) if options.start is None else load_checkpoint(options.start, scale)
    if net.classes != len(NAMES):
        raise ConfigurationError(f"{options.start}: expected {len(NAMES)} classes, got {net.classes}")
    make = functools.partial(training_batches, options.batch, options.size, options.seed)
    with BatchProcess(make) as batches:

        def cpu_s() -> float:
            return time.process_time() + batches.cpu_s

        def save(average: YoloV10) -> None:
            save_checkpoint(average, options.weights)

        budget = Budget(60.0 * options.minutes, cpu_s if options.clock == "cpu" else time.monotonic)
        cpu = Budget(60.0 * options.minutes, cpu_s)
        fitted = fit(net, batches, config, budget, say=_say, save=save)
    save(net)
    _say(f"{fitted.steps} steps, {fitted.images} images, {cpu.spent_s / 60.0:.1f} minutes of CPU")
    _ship(net, config, fitted, cpu.spent_s / 60.0, options)


def _ship(
    net: YoloV10, config: FitConfig, fitted: Fitted, cpu_minutes: float, options: argparse.Namespace
) -> None:
    """Write the model and its card, and say how well it does."""
    import numpy as np
    import onnxruntime
    import skimage
    import torch

    from lowlat_nodes.sim.shapes import NAMES
    from lowlat_nodes.train.detector_card import row, write_card
    from lowlat_nodes.train.yolov10.export import export_onnx
    from lowlat_nodes.train.yolov10.fuse import FusedYoloV10
    from lowlat_nodes.train.yolov10.validate import validate

    side = options.size
    path = options.out / "shapes.onnx"
    error = export_onnx(net, path, side, side, NAMES)
    many_path = options.weights.with_suffix(".one_to_many.onnx")
    export_onnx(net, many_path, side, side, NAMES, "one_to_many")
    frames = [unseen_images(side).frame(number) for number in range(options.frames)]
    one, many = (validate(file, frames, threads=options.threads) for file in (path, many_path))
    _say(f"AP {one.ap:.3f}, AP50 {one.ap50:.3f} without NMS; one-to-many {many.ap:.3f}, {many.ap50:.3f}")
    fused = FusedYoloV10(net, side, side)
    start = f" --from {options.start.name}" if options.start else ""
    card = write_card(
        path,
        one,
        many,
        {
            "command": f"lowlat train detector --minutes {options.minutes:g} --clock {options.clock} "
            f"--scale {options.scale} --size {side} --batch {options.batch} --seed {options.seed}{start}",
            "seed": options.seed,
            "libraries": f"torch {torch.__version__}, numpy {np.__version__}, onnxruntime "
            f"{onnxruntime.__version__}, scikit-image {skimage.__version__}",
            "scale": options.scale.upper(),
            "parameters": sum(weight.numel() for weight in fused.parameters()),
            "count": len(NAMES),
            "names": ", ".join(NAMES),
            "side": side,
            "least": TRAIN_SHAPES[0],
            "most": TRAIN_SHAPES[1],
            "copies": COPIES,
            "steps": fitted.steps,
            "images": fitted.images,
            "batch": options.batch,
            "minutes": options.minutes,
            "clock": {"cpu": "CPU", "wall": "wall-clock time"}[options.clock],
            "cpu_minutes": cpu_minutes,
            "learning_rate": config.learning_rate,
            "error": error,
        },
    )
    _say(f"{card} written; {row('one-to-one', one)}")
