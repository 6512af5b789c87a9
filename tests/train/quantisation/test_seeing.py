# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images through a detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from cell_detector import scene, write_scenes

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.train.quantisation.gate import SURE
from lowlat_nodes.train.quantisation.samples import Sample, read_sample
from lowlat_nodes.train.quantisation.seeing import detections, layout_of, load


@pytest.mark.parametrize("runtime", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.openvino)])
def test_a_detector_finds_what_is_in_images(cell_model: Path, tmp_path: Path, runtime: str) -> None:
    folder = write_scenes(tmp_path / "scenes", 2)
    layout = layout_of(cell_model)
    samples = [Sample("drawn", Image(scene(0)[0], "rgb8")), read_sample(folder / "001.png")]
    for number, rows in enumerate(detections(load(cell_model, runtime, layout), layout, samples)):
        _, boxes, labels = scene(number)
        sure = rows[rows[:, 4] > SURE]
        found = {(*map(round, row[:4].tolist()), int(row[5])) for row in sure}
        assert found == {
            (*map(int, box), label) for box, label in zip(boxes.tolist(), labels.tolist(), strict=True)
        }


def test_an_image_that_cannot_be_decoded_is_named(cell_model: Path, tmp_path: Path) -> None:
    path = write_scenes(tmp_path / "scenes", 1) / "000.png"
    damaged = np.fromfile(path, np.uint8)
    damaged[len(damaged) // 3 : -len(damaged) // 3] = 0
    layout = layout_of(cell_model)
    with pytest.raises(ConfigurationError, match=r"broken\.png: png"):
        detections(
            load(cell_model, "onnxruntime", layout),
            layout,
            [Sample("broken.png", CompressedImage(damaged, "png"))],
        )
