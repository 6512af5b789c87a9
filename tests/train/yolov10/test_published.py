# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Names, shapes and numbers of the published network, as its own code gave them (ultralytics 8.4.190)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NAMES = {
    "n": (595, "08c7412d60ad8597f3ac4dafb1709665991e1431bb02864cfeca596e4885e17c"),
    "s": (619, "652fc5a1ba5ab8bac6e53daa14c08c60adb726bec44bd7b4a412d81d5e3272b2"),
    "m": (799, "83c1fc47d1a42362cd641d6d9835bce26b351b3d126a8274cb5d9bc076c40e80"),
    "b": (835, "6a1f482613ef3fa78da1498ef07688b94cb0a5e38d9a13b705ad3e2687745a4e"),
    "l": (1027, "1e6bdd01870b81d70de7afc8afad73d55b891be0538f8b7741ea0f9e162c60c3"),
    "x": (1135, "27128b164fab3cfc71185b4d48c9c98e8e21839bf5fd5237787f19813bdeffa7"),
}
"""How many entries its state dict has for 80 classes, and the SHA-256 of its lines `name [shape]`, sorted."""

PLACES = {
    "distances": ((0, 0), (50, 33), (100, 63), (125, 20)),
    "scores": ((0, 0), (50, 33), (100, 63), (125, 79)),
}
SAID = {
    "n": (
        {"distances": (0.0025, -0.0878, 0.1247, -0.1023), "scores": (0.0079, 0.1614, -0.1057, -0.0073)},
        {"distances": (-0.0147, -0.2301, -0.2032, -0.1678), "scores": (0.0125, -0.0656, 0.001, 0.1181)},
    ),
    "s": (
        {"distances": (0.0052, 0.5373, 0.1085, 0.0341), "scores": (-0.0649, -0.2216, -0.0421, 0.2356)},
        {"distances": (0.006, 0.2892, -0.2721, 0.0779), "scores": (-0.0077, 0.0025, 0.0749, -0.242)},
    ),
    "m": (
        {"distances": (-0.0256, 0.3113, 0.1567, -0.1633), "scores": (-0.3726, -0.2547, 0.2284, -0.1177)},
        {"distances": (0.0163, 0.1667, -0.1819, 0.1589), "scores": (0.016, 0.2452, -0.016, -0.1421)},
    ),
    "x": (
        {"distances": (0.0546, -0.4346, 0.5939, -0.6231), "scores": (-0.2003, 0.075, -0.0272, 0.1525)},
        {"distances": (0.0888, -0.1075, 0.0112, -0.0257), "scores": (0.0236, -0.1314, 0.0937, -0.1897)},
    ),
}
"""Logits of its one-to-many and one-to-one head at PLACES (anchor, channel), for the weights of conftest."""


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.published import to_published
    from lowlat_nodes.train.yolov10.scales import SCALES

    with torch.device("meta"):
        weights = to_published(YoloV10(SCALES[name], 80))
    lines = sorted(f"{key} {list(value.shape)}" for key, value in weights.items())
    assert (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()) == NAMES[name]


@pytest.mark.parametrize("name", SAID)
def test_the_network_says_what_the_published_one_does(name: str, published: Callable[..., dict]) -> None:
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.published import names_in, without_bins
    from lowlat_nodes.train.yolov10.scales import SCALES

    with torch.device("meta"):
        model = YoloV10(SCALES[name], 80)
    weights = without_bins(published(name))
    names = names_in(weights, model)
    model.to_empty(device="cpu").load_state_dict({ours: weights[theirs] for theirs, ours in names.items()})
    images = torch.from_numpy(np.random.default_rng(0).random((1, 3, 64, 96), dtype=np.float32))
    with torch.no_grad():
        outputs = model.eval()(images)
    for head, expected in zip((outputs.one_to_many, outputs.one_to_one), SAID[name], strict=True):
        for kind, places in PLACES.items():
            said = [getattr(head, kind)[0][place].item() for place in places]
            assert said == pytest.approx(expected[kind], abs=2e-4)
