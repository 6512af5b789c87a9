# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The average of overlapping chunks."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.ensemble import TemporalEnsemble


def chunk(request: int, start: int, *rows: float) -> Chunk:
    return Chunk(request, start, 10, np.array(rows)[:, None])


def test_the_first_chunk_stays_as_it_is() -> None:
    assert TemporalEnsemble().blend(chunk(0, 0, 1.0, 2.0)).targets[:, 0].tolist() == [1.0, 2.0]


def test_rows_are_weighed_by_the_age_of_the_chunk_with_the_oldest_first() -> None:
    ensemble = TemporalEnsemble(decay=0.5)
    ensemble.blend(chunk(0, 0, 0.0, 1.0, 2.0, 3.0))
    ensemble.blend(chunk(1, 10, 11.0, 12.0, 13.0))
    blended = ensemble.blend(chunk(2, 20, 22.0, 23.0, 24.0)).targets[:, 0]
    weights = np.exp(-0.5 * np.arange(3))
    expected = [
        weights @ [2.0, 12.0, 22.0] / weights.sum(),
        weights @ [3.0, 13.0, 23.0] / weights.sum(),
        24.0,
    ]
    np.testing.assert_allclose(blended, expected)


def test_chunks_that_end_before_the_newest_count_no_more() -> None:
    ensemble = TemporalEnsemble()
    ensemble.blend(chunk(0, 0, 5.0, 5.0))
    assert ensemble.blend(chunk(1, 20, 7.0, 7.0)).targets[:, 0].tolist() == [7.0, 7.0]


def test_garbage_is_handed_on_and_not_remembered() -> None:
    ensemble = TemporalEnsemble()
    garbage = chunk(0, 0, np.nan, 1.0)
    assert ensemble.blend(garbage) is garbage
    assert ensemble.blend(chunk(1, 0, 7.0, 7.0)).targets[:, 0].tolist() == [7.0, 7.0]


def test_after_clear_nothing_is_left() -> None:
    ensemble = TemporalEnsemble()
    ensemble.blend(chunk(0, 0, 5.0, 5.0))
    ensemble.clear()
    assert ensemble.blend(chunk(1, 0, 7.0, 7.0)).targets[:, 0].tolist() == [7.0, 7.0]
