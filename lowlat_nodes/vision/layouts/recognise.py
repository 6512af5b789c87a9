# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which layout the outputs of a detector's graph have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from lowlat_nodes.inference.model import Model, TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.detr import fit_detr, is_size
from lowlat_nodes.vision.layouts.end_to_end import fit_end_to_end
from lowlat_nodes.vision.layouts.graph import Graph, describe
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.queries import fit_detr_logits, fit_detr_rows, fit_rf_detr
from lowlat_nodes.vision.layouts.raw import fit_objectness, fit_one_to_many, fit_one_to_one
from lowlat_nodes.vision.layouts.settings import LayoutSettings


class _Fit(Protocol):
    def __call__(self, graph: Graph, *, forced: bool) -> Layout | str:
        """Return the layout, or why the graph does not have it."""


_FITS: dict[str, _Fit] = {
    "end_to_end": fit_end_to_end,
    "one_to_one": fit_one_to_one,
    "one_to_many": fit_one_to_many,
    "objectness": fit_objectness,
    "detr": fit_detr,
    "detr_logits": fit_detr_logits,
    "detr_rows": fit_detr_rows,
    "rf_detr": fit_rf_detr,
}


def recognise(
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
    metadata: Mapping[str, str],
    settings: LayoutSettings | None = None,
) -> Layout:
    """Return the one layout that a detector's graph can have.

    Args:
        inputs: The graph's inputs by name, as a `Model` tells them.
        outputs: Its outputs by name.
        metadata: What the file says besides: names, imgsz, end2end, task and description as YOLO exporters
            write them, and lowlat.layout and so on in the words of the settings.
        settings: What the user says.

    Raises:
        ConfigurationError: If no layout fits or several do, or settings and graph contradict each other; it
            lists inputs and outputs, and what spoke against each layout.
    """
    graph = Graph.read(inputs, outputs, metadata, settings or LayoutSettings())
    asked = graph.settings.layout
    if asked != "auto":
        found = _FITS[asked](graph, forced=True)
        if isinstance(found, str):
            raise ConfigurationError(f"layout {asked} {found}; the model has {describe(inputs, outputs)}")
        return found
    tried = {name: fit(graph, forced=False) for name, fit in _FITS.items()}
    fitting = [layout for layout in tried.values() if isinstance(layout, Layout)]
    if len(fitting) == 1:
        return fitting[0]
    table = describe(inputs, outputs)
    if fitting:
        ways = " or ".join(f"layout: {layout.name} ({len(layout.names)} classes)" for layout in fitting)
        raise ConfigurationError(
            f"the outputs can be read in {len(fitting)} ways; set {ways}, or give as many names as there are "
            f"classes; the model has {table}"
        )
    reasons = "; ".join(f"{name} {reason}" for name, reason in tried.items())
    raise ConfigurationError(
        f"expected a detector whose outputs are known, got {table}; set layout if it has one of these all "
        f"the same: {reasons}"
    )


def recognise_model(model: Model, settings: LayoutSettings | None = None) -> Layout:
    """Return the one layout that a loaded detector can have.

    Where it leaves sizes of its outputs open, as exports for any batch or image size do, it is run once, on
    a black image, to see what it gives.

    Raises:
        ConfigurationError: As `recognise` does, or if the model fails on that image.
    """
    settings = settings or LayoutSettings()
    outputs = dict(model.outputs)
    if any(0 in spec.shape for spec in outputs.values()):
        graph = Graph.read(model.inputs, outputs, model.metadata, settings)
        if all(map(is_size, graph.further)):
            outputs = _observed(model, graph)
    return recognise(model.inputs, outputs, model.metadata, settings)


def _observed(model: Model, graph: Graph) -> dict[str, TensorSpec]:
    """Return the outputs with the sizes that they have for an image."""
    feed = {spec.name: np.array([[graph.width, graph.height]], spec.dtype) for spec in graph.further}
    feed[graph.image.name] = np.zeros((1, 3, graph.height, graph.width), graph.image.dtype)
    try:
        arrays = model.run(feed, list(model.outputs))
    except Exception as error:  # each backend raises types of its own
        raise ConfigurationError(
            f"the model fails on an image of {graph.width} x {graph.height} px; give input_width and "
            f"input_height that it takes: {error}"
        ) from error
    return {
        spec.name: dataclasses.replace(spec, shape=array.shape)
        for spec, array in zip(model.outputs.values(), arrays, strict=True)
    }
