# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TABLE_1 = {
    "n": (2.3, 6.7),
    "s": (7.2, 21.6),
    "m": (15.4, 59.1),
    "b": (19.1, 92.0),
    "l": (24.4, 120.3),
    "x": (29.5, 160.4),
}
"""Of arXiv 2405.14458: millions of parameters and GFLOPs at 640 px for 80 classes."""


@pytest.mark.parametrize("name", TABLE_1)
def test_every_scale_costs_what_the_paper_says(name: str) -> None:
    from lowlat_nodes.train.yolov10.count import cost
    from lowlat_nodes.train.yolov10.scales import SCALES

    millions, gflops = TABLE_1[name]
    counted = cost(SCALES[name])
    assert counted.parameters / 1e6 == pytest.approx(millions, rel=0.03)
    assert counted.gflops == pytest.approx(gflops, rel=0.03)


def test_the_smallest_has_the_parameters_of_the_published_one() -> None:
    from lowlat_nodes.train.yolov10.count import cost
    from lowlat_nodes.train.yolov10.head import BINS
    from lowlat_nodes.train.yolov10.scales import SCALES

    # That one counts the numbers of its bins, 0 to 15, which never change, as weights.
    assert cost(SCALES["n"]).parameters + BINS == 2_299_264


def test_a_smaller_image_costs_less() -> None:
    from lowlat_nodes.train.yolov10.count import cost
    from lowlat_nodes.train.yolov10.scales import SCALES

    small, large = cost(SCALES["n"], height=320, width=320), cost(SCALES["n"])
    assert small.parameters == large.parameters
    assert small.gflops == pytest.approx(large.gflops / 4, rel=0.01)
