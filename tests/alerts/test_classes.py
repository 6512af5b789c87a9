# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES, TREE, among


def test_the_leaves_of_the_tree_are_the_classes_in_their_order() -> None:
    leaves = [name for kinds in TREE.values() for names in kinds.values() for name in names]
    assert tuple(leaves) == CLASSES


def test_what_is_known_to_be_a_supernova_is_one_of_four() -> None:
    probabilities = np.zeros((3, len(CLASSES)), np.float32)
    probabilities[0, [0, 2, 5]] = 0.1, 0.3, 0.6
    probabilities[1, 1] = 1.0
    probabilities[2, 8] = 1.0
    given = among(probabilities, TREE["transient"]["supernova"])
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, [[0.25, 0, 0.75, 0], [0, 1, 0, 0], [0.25] * 4], atol=1e-6)


def test_a_class_that_is_none() -> None:
    with pytest.raises(ValueError, match="kilonova"):
        among(np.ones((1, 12), np.float32), ["kilonova"])
