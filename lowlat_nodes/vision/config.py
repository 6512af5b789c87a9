# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All parameters of detection, whatever hosts it."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.vision.layouts.settings import LayoutSettings


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """What is detected with, and what is reported."""

    model: str = setting(
        "shapes", doc="An ONNX file, a TorchScript program (.pt), or the name of a model that ships."
    )
    layout: LayoutSettings = section(LayoutSettings, doc="What its inputs and outputs mean.")
    backend: BackendSettings = section(BackendSettings, doc="What runs it.")
    threshold: float = setting(
        0.25, doc="Least score of a detection that is reported.", low=0.0, high=1.0, live=True
    )
    classes: tuple[str, ...] = setting(
        (), doc="Names of the classes that are reported; all where none is named.", live=True
    )
    max_detections: int = setting(
        100, doc="How many detections of a frame are reported, best first.", low=1, high=10_000, live=True
    )
    max_pixels: int = setting(
        50_000_000, doc="Larger images are refused before they are decoded.", unit="px", low=1
    )
    class_id: str = setting(
        "name", doc="What stands for a class in results: its name, or its number.", choices=("name", "number")
    )
