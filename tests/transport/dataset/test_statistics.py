# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Statistics batch by batch against those of everything at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.transport.dataset.statistics import QUANTILES, ImageStatistics, VectorStatistics


@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 59), max_size=4),
)
def test_batches_add_up(values: list[float], cuts: list[int]) -> None:
    table = np.array(values, np.float32)[:, None] * np.array([1, -2], np.float32)
    statistics = VectorStatistics(2)
    for batch in np.split(table, sorted({cut for cut in cuts if cut < len(values)})):
        statistics.add(batch)
    found, whole = statistics.figures(), table.astype(np.float64)
    assert found["count"] == [len(values)]
    np.testing.assert_array_equal(found["min"], whole.min(axis=0))
    np.testing.assert_array_equal(found["max"], whole.max(axis=0))
    scale = np.abs(whole).max() + 1e-9
    np.testing.assert_allclose(found["mean"], whole.mean(axis=0), rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(found["std"], whole.std(axis=0), rtol=1e-6, atol=1e-7 * scale)
    for name, share in QUANTILES.items():
        np.testing.assert_allclose(found[name], np.quantile(whole, share, axis=0), atol=1e-9 * scale)


@pytest.mark.parametrize("batch", [997, 4096, 150_000])
def test_quantiles_of_a_long_record_come_from_a_bounded_sample(batch: int) -> None:
    rows = 300_000
    table = np.random.default_rng(0).permutation(rows)[:, None].astype(np.float32)
    statistics = VectorStatistics(1)
    for begin in range(0, rows, batch):
        statistics.add(table[begin : begin + batch])
    found = statistics.figures()
    for name, share in QUANTILES.items():
        assert found[name][0] == pytest.approx(share * rows, abs=0.01 * rows)
    np.testing.assert_allclose(found["mean"], [(rows - 1) / 2], rtol=1e-9)


def test_images_are_counted_by_channel_and_thinned_out() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 20, 310, 3), np.uint8)
    images[..., 2] = 7
    statistics = ImageStatistics()
    for image in images:
        statistics.add(image)
    kept = images[:, ::2, ::2] / 255
    found = statistics.figures()
    assert found["count"] == [3]
    for name, wanted in (
        ("min", kept.min(axis=(0, 1, 2))),
        ("max", kept.max(axis=(0, 1, 2))),
        ("mean", kept.mean(axis=(0, 1, 2))),
        ("std", kept.std(axis=(0, 1, 2))),
        ("q50", np.quantile(kept, 0.5, axis=(0, 1, 2), method="inverted_cdf")),
        ("q99", np.quantile(kept, 0.99, axis=(0, 1, 2), method="inverted_cdf")),
    ):
        np.testing.assert_allclose(np.array(found[name]), wanted.reshape(3, 1, 1), rtol=1e-9, atol=1e-9)
