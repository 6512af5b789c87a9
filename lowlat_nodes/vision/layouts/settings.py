# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a user may say about a detector's graph where the graph itself does not."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.stream.config import setting

LAYOUTS = (
    "end_to_end",
    "one_to_one",
    "one_to_many",
    "objectness",
    "detr",
    "detr_end_to_end",
    "detr_logits",
    "detr_rows",
    "rf_detr",
)
"""The names of the layouts; docs of each stand with its class."""


@dataclass(frozen=True)
class LayoutSettings:
    """How a graph is fed and read; what is `auto`, empty or 0 follows from the graph."""

    layout: str = setting("auto", doc="What the outputs mean.", choices=("auto", *LAYOUTS))
    resize: str = setting(
        "auto",
        doc="How an image fills the input: with its aspect ratio kept, or without.",
        choices=("auto", "letterbox", "stretch"),
    )
    fill: int = setting(114, doc="Grey value around a letterboxed image.", low=0, high=255)
    normalisation: str = setting(
        "auto",
        doc="Values of pixels: 0 to 255 (none), 0 to 1 (unit), or those less ImageNet's mean, by its "
        "deviation (imagenet; DEIMv2 with DINOv3 needs it and its graph does not say so).",
        choices=("auto", "none", "unit", "imagenet"),
    )
    channels: str = setting("auto", doc="Order of the channels.", choices=("auto", "rgb", "bgr"))
    names: tuple[str, ...] = setting(
        (), doc="Names of the classes by number; coco alone for the 80 of COCO; empty: as the model says."
    )
    input_width: int = setting(
        0,
        doc="Width of an input that the model leaves open; 0: as the model says.",
        unit="px",
        low=0,
        high=8192,
    )
    input_height: int = setting(0, doc="Its height; 0: as the model says.", unit="px", low=0, high=8192)
    iou_threshold: float = setting(
        0.7,
        doc="Overlap beyond which the weaker of two boxes of a class goes, where a layout needs that.",
        low=0.0,
        high=1.0,
    )
