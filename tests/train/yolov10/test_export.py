# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lowlat_nodes import resources
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings
from lowlat_nodes.vision.placement import Placement

if TYPE_CHECKING:
    from torch import Tensor

    from lowlat_nodes.train.yolov10.model import YoloV10

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = pytest.mark.torch
NAMES = ["circle", "it's a square", "star"]


@pytest.fixture
def model() -> YoloV10:
    """A network with running statistics and heads that tell cells and classes apart."""
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    made = YoloV10(SCALES["n"], len(NAMES))
    for head in (made.head.one_to_many, made.head.one_to_one):
        for branch in [*head.distances, *head.scores]:
            torch.nn.init.normal_(branch[-1].weight, std=0.3)
            torch.nn.init.normal_(branch[-1].bias)
    for _ in range(3):
        made(torch.rand(2, 3, 96, 128))
    return made.eval()


@pytest.mark.parametrize(
    ("form", "shape", "end2end"),
    [
        ("end_to_end", (1, 252, 6), "True"),
        ("one_to_one", (1, 7, 252), "True"),
        ("one_to_many", (1, 7, 252), "False"),
    ],
)
def test_a_file_says_what_torch_does(
    form: str, shape: tuple[int, ...], end2end: str, model: YoloV10, tmp_path: Path
) -> None:
    from lowlat_nodes.train.yolov10.export import export_onnx

    error = export_onnx(model, tmp_path / "shapes.onnx", 96, 128, NAMES, form)
    assert error < 5e-3
    file = OnnxModel(tmp_path / "shapes.onnx")
    assert file.inputs["images"].shape == (1, 3, 96, 128)
    assert file.inputs["images"].dtype == np.float32
    assert file.outputs["output0"].shape == shape
    assert ast.literal_eval(file.metadata["names"]) == dict(enumerate(NAMES))
    assert ast.literal_eval(file.metadata["imgsz"]) == [96, 128]
    assert file.metadata["task"] == "detect"
    assert file.metadata["stride"] == "32"
    assert file.metadata["end2end"] == end2end


@pytest.mark.parametrize("form", ["end_to_end", "one_to_one", "one_to_many"])
def test_a_file_is_recognised_and_decoded_as_what_it_is(form: str, model: YoloV10, tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.export import export_onnx
    from lowlat_nodes.train.yolov10.head import decode

    export_onnx(model, tmp_path / "shapes.onnx", 64, 96, NAMES, form)
    file = OnnxModel(tmp_path / "shapes.onnx")
    layout = recognise(file.inputs, file.outputs, file.metadata, LayoutSettings(iou_threshold=1.0))
    assert layout.name == form
    assert layout.names == tuple(NAMES)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        outputs = model(images)
    head = outputs.one_to_many if form == "one_to_many" else outputs.one_to_one
    boxes = decode(head.distances, outputs.anchors, outputs.strides)[0]
    boxes = torch.minimum(boxes.clamp(min=0.0), torch.tensor([96.0, 64.0, 96.0, 64.0])).numpy()
    scores = head.scores[0].sigmoid().numpy()
    found = layout.decode(
        file.run({"images": images.numpy()}, layout.outputs), Placement.letterbox(96, 64, 96, 64), 0.3, 20
    )
    assert len(found) == 20
    np.testing.assert_allclose(found[:, 4], np.sort(scores, axis=None)[::-1][:20], atol=1e-4)
    for row in found:
        errors = np.abs(np.column_stack([boxes, scores[:, int(row[5])]]) - row[:5]).max(axis=1)
        assert errors.min() < 5e-3


class Fixed(torch.nn.Module):
    """Stands where the network does, with predictions of its own."""

    def __init__(self, boxes: Tensor, scores: Tensor) -> None:
        super().__init__()
        self.anchors, self.classes = boxes[:, :2], scores.shape[1]
        self.boxes, self.scores = boxes, scores

    def forward(self, _images: Tensor) -> tuple[Tensor, Tensor]:
        return self.boxes[None], self.scores[None]


@pytest.mark.parametrize(("anchors", "classes"), [(2000, 5), (2000, 1), (310, 80), (40, 3)])
def test_end_to_end_rows_are_the_best_pairs_of_the_best_anchors(anchors: int, classes: int) -> None:
    from lowlat_nodes.train.yolov10.export import EndToEnd

    boxes = torch.rand(anchors, 4) * 640
    scores = torch.randperm(anchors * classes).reshape(anchors, classes) / (anchors * classes)  # no two alike
    rows = EndToEnd(Fixed(boxes, scores))(torch.empty(1, 3, 32, 32))[0]
    count = min(300, anchors)
    kept = sorted(range(anchors), key=lambda anchor: -scores[anchor].max())[:count]
    pairs = [(float(scores[anchor, label]), anchor, label) for anchor in kept for label in range(classes)]
    expected = [
        [*boxes[anchor].tolist(), score, label] for score, anchor, label in sorted(pairs)[::-1][:count]
    ]
    assert torch.equal(rows, torch.tensor(expected))


def test_one_name_for_each_class(model: YoloV10, tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.export import export_onnx

    with pytest.raises(ConfigurationError, match="expected 3, one for each class, got 2"):
        export_onnx(model, tmp_path / "shapes.onnx", 64, 64, NAMES[:2])
    assert not (tmp_path / "shapes.onnx").exists()


def test_a_size_that_does_not_fit_is_refused(model: YoloV10, tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.export import export_onnx

    with pytest.raises(ConfigurationError, match="multiples of 32 px, got height 64, width 100"):
        export_onnx(model, tmp_path / "shapes.onnx", 64, 100, NAMES)


def test_a_file_is_written_anew_for_images_of_another_size(model: YoloV10, tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.export import export_onnx, resize_onnx

    export_onnx(model, tmp_path / "small.onnx", 64, 64, NAMES)
    resize_onnx(tmp_path / "small.onnx", tmp_path / "large.onnx", 96, 128)
    export_onnx(model, tmp_path / "expected.onnx", 96, 128, NAMES)
    made, expected = (OnnxModel(tmp_path / f"{name}.onnx") for name in ("large", "expected"))
    assert made.metadata == expected.metadata
    images = np.random.default_rng(0).random((1, 3, 96, 128), np.float32)
    rows, others = (each.run({"images": images}, ["output0"])[0] for each in (made, expected))
    assert np.allclose(rows, others, atol=1e-4)


def test_only_a_file_of_ours_is_written_anew(tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.export import resize_onnx

    with pytest.raises(ConfigurationError, match="found nothing"):
        resize_onnx(tmp_path / "nowhere.onnx", tmp_path / "out.onnx", 64, 64)
    with pytest.raises(ConfigurationError, match="end-to-end file that lowlat_nodes has written"):
        resize_onnx(resources.model("reach_flow"), tmp_path / "out.onnx", 64, 64)
