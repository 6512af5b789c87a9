# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Epochs into light curves: what is left out, the order, one epoch for each visit; against a slow version."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.alerts.epochs import (
    DETECTION,
    FORCED,
    LIMIT,
    OWN,
    SAME_VISIT_DAYS,
    UNKNOWN_BAND,
    Epochs,
    in_order,
    usable,
)

Row = tuple[int, float, int, float, float, int]
"""Alert, MJD, passband, flux, error, kind."""

SECOND = 1.0 / 86_400


def epochs(rows: list[Row]) -> Epochs:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    return Epochs(
        *(
            np.array(column, dtype)
            for column, dtype in zip(columns, ("i8", "f8", "u1", "f8", "f8", "u1"), strict=True)
        )
    )


def rows_of(found: Epochs) -> list[Row]:
    columns = (found.alert, found.mjd, found.band, found.flux_njy, found.error_njy, found.kind)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def slow(rows: list[Row]) -> list[Row]:
    """Return what `in_order` should, by the words of its description."""
    visits: list[list[Row]] = []
    for row in sorted(rows):
        last = visits[-1][-1] if visits else None
        if last is None or last[0] != row[0] or row[1] - last[1] > SAME_VISIT_DAYS:
            visits.append([])
        visits[-1].append(row)
    kept = []
    for visit in visits:
        for band in {row[2] for row in visit}:
            same = [row for row in visit if row[2] == band]
            kept.append(min(same, key=lambda row: (row[5], row[4], row[3], row[1])))
    return sorted(kept, key=lambda row: row[:3])


def test_sorts_by_alert_and_time() -> None:
    rows = [
        (1, 59_001.0, 0, 1.0, 1.0, OWN),
        (0, 59_002.0, 0, 1.0, 1.0, OWN),
        (0, 59_000.0, 1, 2.0, 1.0, FORCED),
    ]
    assert rows_of(in_order(epochs(rows))) == [rows[2], rows[1], rows[0]]


def test_a_detection_counts_before_forced_photometry_of_its_visit_and_that_before_a_limit() -> None:
    limit, forced = (0, 59_000.0, 0, 0.0, 9.0, LIMIT), (0, 59_000.0, 0, 3.0, 1.0, FORCED)
    detection = (0, 59_000.0, 0, 5.0, 2.0, DETECTION)
    assert rows_of(in_order(epochs([limit, forced, detection]))) == [detection]
    assert rows_of(in_order(epochs([limit, forced]))) == [forced]


def test_of_two_detections_of_one_visit_the_better_one_counts() -> None:
    bad, good = (0, 59_000.0, 0, 5.0, 2.0, DETECTION), (0, 59_000.0, 0, 4.0, 1.0, DETECTION)
    assert rows_of(in_order(epochs([bad, good]))) == [good]


def test_passbands_of_one_visit_are_told_apart() -> None:
    rows = [(0, 59_000.0, 1, 5.0, 2.0, DETECTION), (0, 59_000.0, 0, 4.0, 1.0, FORCED)]
    assert rows_of(in_order(epochs(rows))) == [rows[1], rows[0]]


def test_a_visit_ends_after_a_second_without_an_epoch() -> None:
    rows = [(0, 59_000.0 + step * SECOND, 0, 1.0, 1.0, FORCED) for step in (0.0, 0.9, 3.0)]
    assert rows_of(in_order(epochs(rows))) == [rows[0], rows[2]]


def test_alerts_of_one_time_are_told_apart() -> None:
    rows = [(alert, 59_000.0, 0, 1.0, 1.0, OWN) for alert in range(3)]
    assert rows_of(in_order(epochs(rows))) == rows


def test_nothing_stays_nothing() -> None:
    assert rows_of(in_order(epochs([]))) == []


few_times = st.sampled_from([59_000.0, 59_000.0 + 0.5 * SECOND, 59_000.0 + 1.2 * SECOND, 59_001.0, 59_002.5])
times = few_times | st.floats(50_000.0, 70_000.0)
numbers = st.sampled_from([0, 1, 2, 300])  # up to 255 and above are sorted in different ways
fluxes = st.sampled_from([-1.0, 0.0, 2.0])
any_rows = st.lists(
    st.tuples(
        numbers, times, st.integers(0, 2), fluxes, st.sampled_from([0.5, 1.0]), st.sampled_from([0, 1, 2, 3])
    ),
    max_size=30,
)


@given(any_rows, st.randoms())
def test_equals_the_slow_version_in_any_order_and_however_often_epochs_come(rows, random) -> None:
    expected = slow(rows)
    assert rows_of(in_order(epochs(rows))) == expected
    repeated = rows + rows[: len(rows) // 2]
    random.shuffle(repeated)
    assert rows_of(in_order(epochs(repeated))) == expected


def test_a_hundred_thousand_epochs() -> None:
    number = 100_000
    rng = np.random.default_rng(1)
    mjd = 55_000.0 + np.arange(number) * 0.01
    shuffled = rng.permutation(number)
    found = in_order(
        Epochs(
            np.zeros(number, np.int64),
            mjd[shuffled],
            np.zeros(number, np.uint8),
            np.ones(number),
            np.ones(number),
            np.full(number, FORCED, np.uint8),
        )
    )
    assert np.array_equal(found.mjd, mjd)


def test_what_is_usable() -> None:
    good = (0, 59_000.0, 0, -1.0, 1.0, OWN)
    for place, value in [
        (1, np.nan),
        (1, np.inf),
        (1, 0.0),
        (1, 2_459_000.5),  # a Julian date
        (1, -1.0),
        (2, UNKNOWN_BAND),
        (3, np.nan),
        (3, np.inf),
        (3, -np.inf),
        (4, np.nan),
        (4, np.inf),
        (4, 0.0),
        (4, -99_999.0),
    ]:
        bad = (*good[:place], value, *good[place + 1 :])
        assert usable(epochs([good, bad])).tolist() == [True, False], (place, value)
