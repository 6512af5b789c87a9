# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector as it is judged: images in, detections out, by one runtime on one thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.inference.model import Model
from lowlat_nodes.inference.onnx import OnnxModel, read_signature
from lowlat_nodes.inference.openvino import OpenVinoModel
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.quantisation.samples import Sample
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings
from lowlat_nodes.vision.placement import Placement, Rows
from lowlat_nodes.vision.preprocess import Preprocessor

THRESHOLD: Final = 0.001  # of scores; what is less sure hardly moves the average precision
LIMIT: Final = 300


def layout_of(path: Path, settings: LayoutSettings | None = None) -> Layout:
    """Return what the inputs and outputs of a model mean.

    Raises:
        ConfigurationError: If it is no detector that is known.
    """
    signature = read_signature(path)
    return recognise(signature.inputs, signature.outputs, signature.metadata, settings)


def load(path: Path, runtime: str, layout: Layout) -> Model:
    """Return a model that computes what is not quantised in float32, on one thread.

    Args:
        path: An .onnx file.
        runtime: openvino or onnxruntime.
        layout: As `layout_of` says.
    """
    if runtime == "openvino":
        return OpenVinoModel(path, image=layout.image)
    return OnnxModel(path, image=layout.image)


def feeds(layout: Layout, samples: Iterable[Sample]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs for images; each is good until the next one is asked for.

    Raises ConfigurationError for an image that cannot be decoded.
    """
    for tensor, _ in _prepared(layout, samples):
        yield {layout.image.name: tensor, **layout.feed}


def detections(model: Model, layout: Layout, samples: Iterable[Sample]) -> list[Rows]:
    """Return what a model finds in images, each with `THRESHOLD` and `LIMIT`.

    Raises ConfigurationError for an image that cannot be decoded.
    """
    found = []
    for tensor, placement in _prepared(layout, samples):
        outputs = model.run({layout.image.name: tensor, **layout.feed}, layout.outputs)
        found.append(layout.decode(outputs, placement, THRESHOLD, LIMIT))
    return found


def _prepared(layout: Layout, samples: Iterable[Sample]) -> Iterator[tuple[np.ndarray, Placement]]:
    preprocessor = Preprocessor(layout.image, layout.resize, layout.fill, folded=False)
    return (_prepare(preprocessor, sample) for sample in samples)


def _prepare(preprocessor: Preprocessor, sample: Sample) -> tuple[np.ndarray, Placement]:
    try:
        return preprocessor.prepare(sample.image)
    except BadImage as error:
        raise ConfigurationError(f"{sample.name}: {error}") from error
