# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_both_heads_speak_of_every_cell() -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    outputs = YoloV10(SCALES["n"], 3)(torch.rand(2, 3, 96, 64))
    cells = 12 * 8 + 6 * 4 + 3 * 2
    for said in (outputs.one_to_many, outputs.one_to_one):
        assert said.distances.shape == (2, cells, 64)
        assert said.scores.shape == (2, cells, 3)
    assert outputs.anchors.shape == (cells, 2)
    assert outputs.strides.shape == (cells,)
    assert outputs.anchors[:2].tolist() == [[4.0, 4.0], [12.0, 4.0]]
    assert outputs.anchors[96].tolist() == [8.0, 8.0]
    assert outputs.anchors[-1].tolist() == [48.0, 80.0]
    assert outputs.strides[[0, 96, -1]].tolist() == [8.0, 16.0, 32.0]


def test_predictions_are_of_the_cells_that_the_anchors_name() -> None:
    from lowlat_nodes.train.yolov10.head import Branches, grid

    # Features that name their own cell, and branches that pass them on.
    branches = Branches((16, 16, 16), 2)
    anchors, _ = grid(64, 96)
    levels, start = [], 0
    for stride in (8, 16, 32):
        rows, columns = 64 // stride, 96 // stride
        own = anchors[start : start + rows * columns].T.reshape(1, 2, rows, columns)
        levels.append(own)
        start += rows * columns
    branches.scores = torch.nn.ModuleList(torch.nn.Identity() for _ in levels)
    branches.distances = torch.nn.ModuleList(torch.nn.Identity() for _ in levels)
    said = branches(levels)
    assert torch.equal(said.scores[0], anchors)


def test_the_one_to_one_head_does_not_teach_the_backbone() -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    model = YoloV10(SCALES["n"], 2)
    said = model(torch.rand(2, 3, 64, 64)).one_to_one
    (said.scores.sum() + said.distances.square().sum()).backward()
    taught = {name.split(".")[0] for name, weights in model.named_parameters() if weights.grad is not None}
    assert taught == {"head"}
    assert all(weights.grad is None for weights in model.head.one_to_many.parameters())


def test_the_one_to_many_head_teaches_every_other_weight() -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    model = YoloV10(SCALES["s"], 2)
    said = model(torch.rand(2, 3, 64, 64)).one_to_many
    (said.scores.sum() + said.distances.square().sum()).backward()
    untaught = [name for name, weights in model.named_parameters() if weights.grad is None]
    assert untaught
    assert all(name.startswith("head.one_to_one.") for name in untaught)


def test_the_heads_start_alike_and_expect_little() -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    outputs = YoloV10(SCALES["n"], 6).eval()(torch.rand(1, 3, 64, 64))
    assert torch.equal(outputs.one_to_many.scores, outputs.one_to_one.scores)
    assert outputs.one_to_many.scores.sigmoid().mean() < 0.01


def test_distances_are_means_of_their_bins() -> None:
    from lowlat_nodes.train.yolov10.head import BINS, decode

    distances = torch.zeros(1, 1, 4, BINS)  # all bins alike: 7.5
    distances[0, 0, 0, 2] = 1e3
    distances[0, 0, 1, 3] = 1e3
    distances[0, 0, 2, 15] = 1e3
    boxes = decode(distances.flatten(2), torch.tensor([[20.0, 36.0]]), torch.tensor([8.0]))
    assert boxes[0, 0].tolist() == [20.0 - 16.0, 36.0 - 24.0, 20.0 + 120.0, 36.0 + 60.0]


def test_under_autocast_the_heads_still_speak_float32() -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    model = YoloV10(SCALES["n"], 2)
    with torch.autocast("cpu", torch.bfloat16):
        said = model(torch.rand(1, 3, 64, 64)).one_to_one
    assert said.scores.dtype == said.distances.dtype == torch.float32


@pytest.mark.parametrize(("height", "width"), [(64, 60), (0, 64), (33, 64)])
def test_an_image_of_a_size_that_does_not_fit_is_refused(height: int, width: int) -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    with pytest.raises(ConfigurationError, match=rf"multiples of 32 px, got height {height}, width {width}"):
        YoloV10(SCALES["n"], 2)(torch.rand(1, 3, height, width))


def test_no_classes_are_refused() -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    with pytest.raises(ConfigurationError, match="at least one, got 0"):
        YoloV10(SCALES["n"], 0)


def test_an_unknown_scale_is_refused() -> None:
    from lowlat_nodes.train.yolov10.scales import scale_named

    assert scale_named("N").name == "n"
    with pytest.raises(ConfigurationError, match="one of n, s, m, b, l, x, got 'nano'"):
        scale_named("nano")
