# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which layers did it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from cell_detector import TAIL_CONCAT, scene, write_cell_detector

from lowlat_nodes.stream.payload import Image
from lowlat_nodes.train.quantisation.samples import Sample
from lowlat_nodes.train.quantisation.seeing import detections, feeds, layout_of, load
from lowlat_nodes.train.quantisation.sensitivity import damage, rank
from lowlat_nodes.train.quantisation.source import read_source
from lowlat_nodes.train.quantisation.static import SCHEMES, Quantiser

ROWS = np.array([[0, 0, 10, 10, 0.9, 0], [20, 20, 30, 30, 0.6, 1], [5, 5, 9, 9, 0.1, 0]], np.float32)


def _changed(row: int, column: int, value: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ROWS, 0.0),
        (ROWS[:2], 0.0),
        (ROWS[:1], 0.5),
        (np.empty((0, 6), np.float32), 1.0),
        (_changed(0, 4, 0.7), 0.1),
        (_changed(1, 5, 0), 0.5),
        (_changed(0, 2, 5), 0.25),
    ],
)
def test_damage(found: np.ndarray, expected: float) -> None:
    assert damage([ROWS], [found]) == pytest.approx(expected, abs=1e-6)


def test_damage_is_a_mean_over_all_detections_of_all_images() -> None:
    empty = np.empty((0, 6), np.float32)
    assert damage([ROWS, ROWS[:1], empty], [ROWS, empty, empty]) == pytest.approx(1 / 3)
    assert damage([], []) == 0.0


@pytest.mark.parametrize(
    ("outlier", "include", "worst"), [(3000.0, (), "think"), (0.0, (TAIL_CONCAT,), TAIL_CONCAT)]
)
def test_the_layer_that_ruins_it_comes_first(
    tmp_path: Path, outlier: float, include: tuple[str, ...], worst: str
) -> None:
    path = write_cell_detector(tmp_path / "cells.onnx", outlier=outlier)
    layout = layout_of(path)
    samples = [Sample("", Image(scene(number)[0], "rgb8")) for number in range(4)]
    expected = detections(load(path, "onnxruntime", layout), layout, samples)
    quantiser = Quantiser(
        read_source(path).model, SCHEMES["openvino"], feeds(layout, samples), include=include
    )
    ranked = rank(quantiser, layout, samples, expected)
    assert ranked[0].name == worst
    assert {layer.name for layer in ranked} == set(quantiser.layers)
    assert ranked[0].damage > 0.5
    assert ranked[1].damage < 0.05
