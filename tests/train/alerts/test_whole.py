# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sncosmo")
pytestmark = pytest.mark.sky

from lowlat_nodes.alerts.classes import CLASSES  # noqa: E402
from lowlat_nodes.train.alerts.whole import LEAST_DETECTIONS, whole_light_curves  # noqa: E402


def test_each_class_is_seen_as_often_and_at_least_twice() -> None:
    sky = whole_light_curves(3 * len(CLASSES), seed=5)
    assert np.bincount(sky.labels).tolist() == [3] * len(CLASSES)
    assert sky.detections().min() >= LEAST_DETECTIONS
    assert set(sky.surveys.tolist()) <= {0, 1, 2}


def test_the_same_seed_gives_the_same_sky() -> None:
    one, two = (whole_light_curves(12, seed=8) for _ in range(2))
    np.testing.assert_array_equal(one.light_curves.flux_njy, two.light_curves.flux_njy)
