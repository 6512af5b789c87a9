# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from lowlat_nodes.sim.shapes.dead_leaves import dead_leaves


def test_images_differ_from_each_other_and_come_again_by_their_seed() -> None:
    images = dead_leaves(2, seed=4, side_px=128)
    assert [image.shape for image in images] == [(128, 128, 3)] * 2
    assert all(image.dtype == np.uint8 for image in images)
    assert not np.array_equal(*images)
    assert np.array_equal(images[1], dead_leaves(2, seed=4, side_px=128)[1])


def test_they_have_edges_and_areas_without() -> None:
    """As scenes have: neighbours are mostly alike, and sometimes not at all."""
    (image,) = dead_leaves(1, seed=0)
    step = np.abs(np.diff(image.astype(int), axis=1)).max(axis=2)
    assert np.median(step) < 12
    assert np.quantile(step, 0.98) > 30
