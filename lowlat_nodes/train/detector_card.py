# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The card that ships beside the detector: what it finds, how it was made and how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lowlat_nodes.train import model_card
from lowlat_nodes.vision.average_precision import Precision

TEXT = """\
---
name: {name}
file: {name}.onnx
sha256: {sha256}
bytes: {size}
license: Apache-2.0
command: {command}
seed: {seed}
libraries: {libraries}
---

# {name}

YOLOv10-{scale} (arXiv 2405.14458) with {parameters} parameters, which finds rendered shapes of {count} kinds
({names}).
It exists to run and to measure `detector_node`, not to find anything in a real scene.

## Input and output
| name | type and shape | meaning |
|---|---|---|
| `images` | float32 [1, 3, {side}, {side}] | RGB from 0 to 1; letterbox other sizes, grey 114 |
| `output0` | float32 [1, 300, 6] | x1, y1, x2, y2 in px of the input, score, class; by falling score |

The output is that of the one-to-one head, which finds each thing once: no suppression is needed.

## Data
Frames of `lowlat_nodes.sim.shapes`, rendered while it was trained: shapes of 8 to 160 px with textures,
borders, motion blur, noise and whatever covers them, before photographs that come with scikit-image, split by
photograph (`lowlat_nodes.sim.shapes.photographs`). In training {least} to {most} shapes a frame, photographs
in changing colours, each frame shown {copies} times, mirrored or turned differently.

## Training
{steps} steps of {batch} images in {minutes:g} minutes of {clock}: {images} images, {cpu_minutes:.1f} minutes
of CPU with the rendering. Muon for the kernels and AdamW for the rest, at a rate of {learning_rate:g} that
falls along a cosine; bfloat16; the exponential average of the weights is kept.
Another machine, library version or number of threads rounds differently and ends with other weights, and a
faster one sees more images.

## How well it does
On {frames} frames with {wanted} shapes before photographs that it was not trained with, as COCO defines
average precision:

| head | AP | AP50 | AP75 | AP small | AP medium | AP large |
|---|---|---|---|---|---|---|
{table}

Small is below 32 x 32 px of the input, large above 96 x 96. AP by kind, one-to-one:
{by_class}.
The ONNX file differs from torch by at most {error:.1e} px or probability.

## Limits
It knows these shapes at these sizes only, in frames as those above. What is hidden by more than 60 % was
neither asked for nor counted as an error.
"""


def row(head: str, precision: Precision) -> str:
    """A row of the card's table."""
    figures = (
        precision.ap,
        precision.ap50,
        precision.ap75,
        precision.ap_small,
        precision.ap_medium,
        precision.ap_large,
    )
    return f"| {head} | {' | '.join(f'{figure:.3f}' for figure in figures)} |"


def write_card(model: Path, one: Precision, many: Precision, facts: Mapping[str, object]) -> Path:
    """Write the card of a model beside it and return its path.

    `one` and `many` are what its two heads reach; `facts` fill the placeholders of the text by name. Raises
    KeyError for one that is missing.
    """
    return model_card.write(
        model,
        TEXT,
        {
            "frames": one.frames,
            "wanted": one.wanted,
            "table": "\n".join((row("one-to-one, as shipped", one), row("one-to-many, with NMS", many))),
            "by_class": ", ".join(f"{name} {figure:.3f}" for name, figure in one.by_class.items()),
            **facts,
        },
    )
