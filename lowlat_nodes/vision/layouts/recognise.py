# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which layout the outputs of a detector's graph have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.detr import fit_detr, is_size
from lowlat_nodes.vision.layouts.end_to_end import fit_detr_end_to_end, fit_end_to_end
from lowlat_nodes.vision.layouts.graph import Graph
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.queries import fit_detr_logits, fit_detr_rows, fit_rf_detr
from lowlat_nodes.vision.layouts.raw import fit_objectness, fit_one_to_many, fit_one_to_one
from lowlat_nodes.vision.layouts.settings import LayoutSettings

Run = Callable[[Mapping[str, NDArray[Any]], list[str]], list[NDArray[Any]]]
"""Returns some outputs of a graph for all of its inputs."""


class _Fit(Protocol):
    def __call__(self, graph: Graph, *, forced: bool) -> Layout | str:
        """Return the layout, or why the graph does not have it."""


_FITS: dict[str, _Fit] = {
    "end_to_end": fit_end_to_end,
    "one_to_one": fit_one_to_one,
    "one_to_many": fit_one_to_many,
    "objectness": fit_objectness,
    "detr": fit_detr,
    "detr_end_to_end": fit_detr_end_to_end,
    "detr_logits": fit_detr_logits,
    "detr_rows": fit_detr_rows,
    "rf_detr": fit_rf_detr,
}


def recognise(
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
    metadata: Mapping[str, str],
    settings: LayoutSettings | None = None,
    *,
    run: Run | None = None,
) -> Layout:
    """Return the one layout that a detector's graph can have.

    Args:
        inputs: The graph's inputs by name, as a `Model` tells them.
        outputs: Its outputs by name.
        metadata: What the file says besides: names, imgsz, end2end, task and description as YOLO exporters
            write them, and lowlat.layout and so on in the words of the settings.
        settings: What the user says.
        run: Runs the graph, as `Model.run` does. Where the graph leaves sizes of its outputs open and all
            else does not tell the layout, it is run once, on a black image, to see what it gives.

    Raises:
        ConfigurationError: If no layout fits or several do, or settings and graph contradict each other; it
            lists inputs and outputs, and what spoke against each layout. If `run` fails.
    """
    graph = Graph.read(inputs, outputs, metadata, settings or LayoutSettings())
    tried = _try(graph)
    is_open = any(0 in spec.shape for spec in graph.outputs)
    if run and is_open and len(_fitting(tried)) != 1 and all(map(is_size, graph.further)):
        graph = dataclasses.replace(graph, outputs=_observe(run, graph))
        tried = _try(graph)
    fitting = _fitting(tried)
    if len(fitting) == 1:
        return fitting[0]
    raise ConfigurationError(_refusal(graph, tried))


def _try(graph: Graph) -> dict[str, Layout | str]:
    """Return each layout that the graph has, or why it has not; only the one that is set, if one is."""
    asked = graph.settings.layout
    if asked != "auto":
        return {asked: _FITS[asked](graph, forced=True)}
    return {name: fit(graph, forced=False) for name, fit in _FITS.items()}


def _fitting(tried: Mapping[str, Layout | str]) -> list[Layout]:
    return [layout for layout in tried.values() if isinstance(layout, Layout)]


def _refusal(graph: Graph, tried: Mapping[str, Layout | str]) -> str:
    """Return why there is not one layout that fits, and what to do."""
    fitting = _fitting(tried)
    if fitting:
        ways = " or ".join(f"layout: {layout.name} ({len(layout.names)} classes)" for layout in fitting)
        return (
            f"the outputs can be read in {len(fitting)} ways; set {ways}, or give as many names as there are "
            f"classes; the model has {graph.describe()}"
        )
    reasons = "; ".join(f"{name} {reason}" for name, reason in tried.items())
    if graph.settings.layout != "auto":
        return f"layout {reasons}; the model has {graph.describe()}"
    return (
        f"expected a detector whose outputs are known, got {graph.describe()}; set layout if it has one of "
        f"these all the same: {reasons}"
    )


def _observe(run: Run, graph: Graph) -> list[TensorSpec]:
    """Return the outputs with the sizes that they have for an image."""
    feed = {spec.name: np.array([[graph.width, graph.height]], spec.dtype) for spec in graph.further}
    feed[graph.image.name] = np.zeros((1, 3, graph.height, graph.width), graph.image.dtype)
    try:
        arrays = run(feed, [spec.name for spec in graph.outputs])
    except Exception as error:  # each backend raises types of its own
        raise ConfigurationError(
            f"the model fails on an image of {graph.width} x {graph.height} px; give input_width and "
            f"input_height that it takes: {error}"
        ) from error
    return [
        dataclasses.replace(spec, shape=array.shape)
        for spec, array in zip(graph.outputs, arrays, strict=True)
    ]
