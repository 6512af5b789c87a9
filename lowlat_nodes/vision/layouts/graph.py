# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector's graph as it is looked at to tell its layout."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.config import build, to_flat
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.names import ClassNames
from lowlat_nodes.vision.layouts.settings import LayoutSettings

FLOATS: tuple[type[np.generic], ...] = (np.float32, np.float16)
INTEGERS: tuple[type[np.generic], ...] = (np.int64, np.int32)

_STAMPED = ("layout", "resize", "normalisation", "channels")
"""Settings that the metadata of a graph may hold, as lowlat.layout and so on."""

_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64))

_IMAGENET_MEAN = (255 * 0.485, 255 * 0.456, 255 * 0.406)
_IMAGENET_STD = (255 * 0.229, 255 * 0.224, 255 * 0.225)


@dataclass(frozen=True)
class Graph:
    """The image input of a graph, and all else that tells what its outputs mean.

    Attributes:
        image: The image input, [1, 3, height, width].
        height: Of the input, px.
        width: Of the input, px.
        further: The other inputs.
        outputs: All outputs.
        metadata: What the file says besides.
        names: What is known of the classes.
        settings: What the user says, and the metadata where the user says nothing.
    """

    image: TensorSpec
    height: int
    width: int
    further: list[TensorSpec]
    outputs: list[TensorSpec]
    metadata: Mapping[str, str]
    names: ClassNames
    settings: LayoutSettings

    @staticmethod
    def read(
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        metadata: Mapping[str, str],
        settings: LayoutSettings,
    ) -> Graph:
        """Find the image input and its size.

        The metadata entries lowlat.layout, lowlat.resize, lowlat.normalisation and lowlat.channels stand in
        for settings left at auto.

        Raises:
            ConfigurationError: If there is no such input, its size is open and not given, or it takes
                batches only; or if the metadata is malformed or that of a model which is no detector.
        """
        table = _describe(inputs.values(), outputs.values())
        task = metadata.get("task", "detect")
        if task not in {"detect", "object-detection"}:
            raise ConfigurationError(
                f"the model is for the task {task!r}, expected one for 'detect'; {table}"
            )
        stamped = {
            name: metadata[f"lowlat.{name}"]
            for name in _STAMPED
            if f"lowlat.{name}" in metadata and getattr(settings, name) == "auto"
        }
        if stamped:
            settings = build(LayoutSettings, to_flat(settings) | stamped)
        image = _image(inputs, table)
        height, width = _size(image, metadata, settings)
        return Graph(
            image=image,
            height=height,
            width=width,
            further=[spec for spec in inputs.values() if spec.name != image.name],
            outputs=list(outputs.values()),
            metadata=metadata,
            names=ClassNames.read(metadata.get("names", ""), settings.names),
            settings=settings,
        )

    @property
    def end_to_end(self) -> bool | None:
        """Return whether the metadata says that no suppression is needed; None if it says nothing."""
        return {"true": True, "false": False}.get(self.metadata.get("end2end", "").lower())

    @property
    def is_rt_detr(self) -> bool:
        """Return whether the metadata calls the model an RT-DETR."""
        return re.search(r"rt-?detr", self.metadata.get("description", ""), re.IGNORECASE) is not None

    def anchors_per_cell(self, count: int) -> int:
        """Return 1 or 3 if so many boxes are that many per cell of the grids on the input, else 0."""
        for strides in _STRIDES:
            cells = sum(-(-self.height // stride) * -(-self.width // stride) for stride in strides)
            if count in {cells, 3 * cells}:
                return count // cells
        return 0

    def describe(self) -> str:
        """Return the inputs and outputs in words; ? is an open size."""
        return _describe([self.image, *self.further], self.outputs)

    def image_input(self, normalisation: str) -> ImageInput:
        """Return what the image input wants; `normalisation` where neither settings nor metadata say."""
        if self.settings.normalisation != "auto":
            normalisation = self.settings.normalisation
        image = ImageInput(
            self.image.name,
            self.height,
            self.width,
            channels="rgb" if self.settings.channels == "auto" else self.settings.channels,
        )
        if normalisation == "imagenet":
            return dataclasses.replace(image, mean=_IMAGENET_MEAN, std=_IMAGENET_STD)
        if normalisation == "none":
            return dataclasses.replace(image, std=(1.0, 1.0, 1.0))
        return image


def _describe(inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec]) -> str:
    """Return the inputs and outputs of a graph in words; ? is an open size."""
    return f"inputs: {_list(inputs)}; outputs: {_list(outputs)}"


def _list(specs: Iterable[TensorSpec]) -> str:
    return ", ".join(
        f"{spec.name} {np.dtype(spec.dtype).name} [{', '.join(str(size or '?') for size in spec.shape)}]"
        for spec in specs
    )


def _image(inputs: Mapping[str, TensorSpec], table: str) -> TensorSpec:
    found = [
        spec
        for spec in inputs.values()
        if spec.dtype in FLOATS and len(spec.shape) == 4 and spec.shape[1] in {0, 3}
    ]
    if len(found) != 1:
        raise ConfigurationError(
            f"expected one image input, float32 or float16 [1, 3, height, width], found {len(found)}; {table}"
        )
    if found[0].shape[0] > 1:
        raise ConfigurationError(
            f"the model takes {found[0].shape[0]} images at once, expected 1; export it for a batch of 1, or "
            f"an open one; {table}"
        )
    return found[0]


def _size(image: TensorSpec, metadata: Mapping[str, str], settings: LayoutSettings) -> tuple[int, int]:
    """Return height and width from the graph, else the settings, else the metadata."""
    exported = _exported_size(metadata)
    sizes = []
    for axis, (side, given) in enumerate(
        (("height", settings.input_height), ("width", settings.input_width))
    ):
        fixed = image.shape[2 + axis]
        if fixed and given and fixed != given:
            raise ConfigurationError(
                f"input_{side}: the model's input {image.name!r} has a fixed {side} of {fixed} px, got "
                f"{given}; leave the setting at 0"
            )
        size = fixed or given or exported[axis]
        if not size:
            raise ConfigurationError(
                f"the model leaves the {side} of its input {image.name!r} open; give input_{side}, the one "
                "that it was trained with"
            )
        sizes.append(size)
    return sizes[0], sizes[1]


def _exported_size(metadata: Mapping[str, str]) -> tuple[int, int]:
    """Return height and width in the metadata entry imgsz, such as [480, 640]; 0 where it has none."""
    text = metadata.get("imgsz", "")
    if not text or len(text) > 100:
        return 0, 0
    try:
        size = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return 0, 0
    if isinstance(size, list | tuple) and len(size) == 2 and all(type(n) is int and n > 0 for n in size):
        return size[0], size[1]
    return 0, 0


def only_table(graph: Graph, shape: str) -> TensorSpec | str:
    """Return the one output of a graph that takes an image alone, or why it is not of a shape, [1, ?, ?]."""
    if graph.further:
        return f"takes an image alone, this graph also {', '.join(spec.name for spec in graph.further)}"
    if len(graph.outputs) != 1:
        return f"has 1 output, this graph {len(graph.outputs)}"
    output = graph.outputs[0]
    if output.dtype not in FLOATS or len(output.shape) != 3 or output.shape[0] > 1:
        return f"is float {shape}"
    return output
