# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", ["n", "m"])
@pytest.mark.parametrize("head", ["one_to_one", "one_to_many"])
def test_a_fused_network_says_the_same(name: str, head: str) -> None:
    from lowlat_nodes.train.yolov10.fuse import FusedYoloV10
    from lowlat_nodes.train.yolov10.head import decode
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    model = YoloV10(SCALES[name], 3)
    images = torch.rand(2, 3, 64, 96)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    for _ in range(3):
        model(images)  # moves the running statistics
    model.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        outputs = model(images)
        boxes, scores = FusedYoloV10(model, 64, 96, head)(images)
    said = getattr(outputs, head)
    assert torch.allclose(boxes, decode(said.distances, outputs.anchors, outputs.strides), atol=2e-2)
    assert torch.allclose(scores, said.scores.sigmoid(), atol=1e-4)
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_a_fused_network_has_no_normalisation_left() -> None:
    from lowlat_nodes.train.yolov10.blocks import LargeKernel
    from lowlat_nodes.train.yolov10.fuse import FusedYoloV10
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    fused = FusedYoloV10(YoloV10(SCALES["n"], 3), 64, 64)
    assert not any(isinstance(module, torch.nn.BatchNorm2d | LargeKernel) for module in fused.modules())
