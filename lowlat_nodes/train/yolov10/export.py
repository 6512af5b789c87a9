# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv10 as an ONNX file, end to end or with the predictions of one head as they are."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import onnx
import onnx.numpy_helper
import torch
from torch import Tensor, nn

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.yolov10.fuse import FusedYoloV10
from lowlat_nodes.train.yolov10.head import STRIDES
from lowlat_nodes.train.yolov10.model import YoloV10
from lowlat_nodes.train.yolov10.scales import Scale, scale_named

OPSET: Final = 17
DETECTIONS: Final = 300
_DESCRIPTION: Final = re.compile(r"YOLOv10-([A-Z]),")

Form = Literal["end_to_end", "one_to_one", "one_to_many"]
"""What a file gives: detections, or a head's predictions for every anchor, those of one_to_many for NMS.

Boxes are corners, but centres and sizes for one_to_many: so other exporters of YOLO models have it.
"""


class EndToEnd(nn.Module):
    """The best detections of one image [1, min(300, A), 6], by falling score.

    A row is x1, y1, x2, y2 in px of the input, score, class. First the anchors whose best class scores
    highest are kept, then the best pairs of anchor and class among them; one anchor may give two.
    """

    def __init__(self, network: FusedYoloV10) -> None:
        super().__init__()
        self.network = network
        self.rows = min(DETECTIONS, len(network.anchors))

    def forward(self, images: Tensor) -> Tensor:
        """Detections in an image, float [1, 3, H, W], RGB from 0 to 1."""
        boxes, scores = (found.squeeze(0) for found in self.network(images))
        best = scores.amax(-1).topk(self.rows).indices
        boxes, scores = boxes.index_select(0, best), scores.index_select(0, best)
        score, pair = scores.reshape(-1).topk(self.rows)
        anchor = torch.div(pair, self.network.classes, rounding_mode="trunc")
        label = pair % self.network.classes
        columns = [boxes.index_select(0, anchor), score[:, None], label.to(boxes.dtype)[:, None]]
        return torch.cat(columns, -1)[None]


class EveryAnchor(nn.Module):
    """Box and probabilities for every anchor [1, 4 + C, A]; the box is centre x and y, width, height in px.

    If `corners`, it is x1, y1, x2, y2.
    """

    def __init__(self, network: FusedYoloV10, *, corners: bool) -> None:
        super().__init__()
        self.network = network
        self.corners = corners

    def forward(self, images: Tensor) -> Tensor:
        """Predictions for an image, float [1, 3, H, W], RGB from 0 to 1."""
        boxes, scores = self.network(images)
        if not self.corners:
            low, high = boxes.split(2, -1)
            boxes = torch.cat([(low + high) / 2, high - low], -1)
        return torch.cat([boxes, scores], -1).transpose(1, 2)


def export_onnx(
    model: YoloV10,
    path: Path,
    height: int,
    width: int,
    names: Sequence[str],
    form: Form = "end_to_end",
) -> float:
    """Write a folded copy of a network as ONNX; return its largest error against torch, in px or probability.

    Takes `images`, float32 [1, 3, height, width], RGB from 0 to 1; gives `output0`, float32, of `EndToEnd`
    or `EveryAnchor`. The metadata are those usual for such files: names, task, stride, imgsz, and end2end,
    which is True where no suppression is needed. Raises ConfigurationError unless there is a name for each
    class, and height and width are multiples of 32.
    """
    network = FusedYoloV10(model, height, width, "one_to_one" if form == "end_to_end" else form)
    return write_onnx(network, path, height, width, names, form, scale=model.scale)


def resize_onnx(source: Path, path: Path, height: int, width: int) -> float:
    """Write an end-to-end file of `export_onnx` anew for images of another size; return as that does.

    Raises ConfigurationError if the file is none of those.
    """
    said = OnnxModel(source, threads=1).metadata
    named = _DESCRIPTION.match(said.get("description", ""))
    if named is None or said.get("end2end") != "True":
        raise ConfigurationError(f"{source}: expected an end-to-end file that lowlat_nodes has written")
    names = tuple(ast.literal_eval(said["names"]).values())
    scale = scale_named(named[1].lower())
    network = FusedYoloV10(YoloV10(scale, len(names)), height, width)
    weights = {
        item.name.removeprefix("network."): torch.from_numpy(onnx.numpy_helper.to_array(item).copy())
        for item in onnx.load(source).graph.initializer
        if item.name.startswith("network.")
    }
    missing = network.state_dict().keys() - weights.keys()
    if missing:
        raise ConfigurationError(
            f"{source}: expected the weights of YOLOv10-{named[1]}, {len(missing)} are missing, such as "
            f"{min(missing)}"
        )
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return write_onnx(network, path, height, width, names, "end_to_end", scale=scale)


def write_onnx(
    network: FusedYoloV10,
    path: Path,
    height: int,
    width: int,
    names: Sequence[str],
    form: Form,
    *,
    scale: Scale,
) -> float:
    """Write a network that is folded already, as `export_onnx` does."""
    if len(names) != network.classes:
        raise ConfigurationError(
            f"class names: expected {network.classes}, one for each class, got {len(names)}"
        )
    head: Final = "one_to_one" if form == "end_to_end" else form
    network = network.cpu().float()
    net = EndToEnd(network) if form == "end_to_end" else EveryAnchor(network, corners=head == "one_to_one")
    images = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls this exporter legacy; the other one needs onnxscript
        torch.onnx.export(
            net,
            (images,),
            str(path),
            input_names=["images"],
            output_names=["output0"],
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(path)
    metadata = {
        "task": "detect",
        "names": repr(dict(enumerate(names))),
        "stride": str(STRIDES[-1]),
        "imgsz": repr([height, width]),
        "end2end": str(head == "one_to_one"),
        "description": f"YOLOv10-{scale.name.upper()}, Apache-2.0 implementation of lowlat_nodes",
    }
    for key, value in metadata.items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    made = torch.from_numpy(OnnxModel(path, threads=1).run({"images": images.numpy()}, ["output0"])[0])
    with torch.no_grad():
        if form != "end_to_end":
            return float((made - net(images)).abs().max())
        boxes, scores = network(images)
        return _largest_error(made[0], boxes[0], scores[0], net(images)[0, :, 4])


def _largest_error(rows: Tensor, boxes: Tensor, scores: Tensor, best: Tensor) -> float:
    """How far rows [K, 6] are from the nearest of all predictions, and their scores from the best ones [K].

    Row by row they cannot be compared: which of two equal scores comes first is a matter of rounding.
    """
    candidates = torch.cat([boxes.expand(len(rows), -1, -1), scores.T[rows[:, 5].long(), :, None]], -1)
    nearest = (candidates - rows[:, None, :5]).abs().amax(-1).amin(-1)
    return float(torch.cat([nearest, (rows[:, 4] - best).abs()]).max())
