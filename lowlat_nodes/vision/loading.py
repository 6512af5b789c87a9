# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a detector's file to a model that runs and the layout of what it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lowlat_nodes.inference import backends
from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.inference.backends import Loaded
from lowlat_nodes.inference.calibration import Stop, never
from lowlat_nodes.inference.candidates import candidates, open_model
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings

_COMPARED = 100


def load_detector(
    path: Path,
    layout: LayoutSettings,
    backend: BackendSettings,
    *,
    anew: bool = False,
    stop: Stop = never,
    sharing: Sharing = ALONE,
) -> tuple[Layout, Loaded]:
    """Find out what a detector takes and gives, and load it in the way that is fastest here.

    Args:
        path: The model.
        layout: What the user says of it.
        backend: What is to run it.
        anew: Whether what an earlier start found to be fastest does not count.
        stop: Whether to give up, asked again and again while there is something to time.
        sharing: Whether it is cut into parts, see `backends.load`.

    Raises:
        ConfigurationError: If it is no detector that is known, or nothing here runs it; if it was to stop.
    """
    said = backends.signature(path)

    def run(feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        plainest = candidates(path, backend, None, cores=1, load_average=0.0)[0]
        return open_model(path, plainest).run(feed, outputs)

    found = recognise(said.inputs, said.outputs, said.metadata, layout, run=run)
    loaded = backends.load(
        path,
        backend,
        found.image,
        further=found.feed,
        outputs=found.outputs,
        compared=lambda outputs: [_best_scores(found, outputs)],
        anew=anew,
        stop=stop,
        sharing=sharing,
    )
    found.refused = 0  # what was tried is not the camera's
    return found, loaded


def _best_scores(layout: Layout, outputs: list[np.ndarray]) -> np.ndarray:
    """Return the best scores, float32 [100], 0 where there are fewer; no tie changes them."""
    placement = layout.place(layout.image.width, layout.image.height)
    rows = layout.decode(outputs, placement, 0.0, _COMPARED)
    scores = np.zeros(_COMPARED, np.float32)
    scores[: len(rows)] = rows[:, 4]
    return scores
