# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of things over frames, judged by streams of shapes whose identities are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.sim.shapes import ShapesConfig, ShapeStream
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.vision.tracking import LIMIT, UNTRACKED, Tracker, TrackingConfig

pytestmark = pytest.mark.tracking

MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
PERIOD_NS = 33 * MS
GREY = np.full((64, 64, 3), 128, np.uint8)
NOTHING = np.empty((0, 6), np.float32)


def tracker(**values: Any) -> Tracker:
    return Tracker(build(TrackingConfig, {"kind": "bytetrack", **values}))


def row(x: float, y: float, *, score: float = 0.9, label: int = 0, side: float = 40.0) -> tuple[float, ...]:
    """Return a square around a place."""
    half = side / 2
    return (x - half, y - half, x + half, y + half, score, label)


def rows(*given: tuple[float, ...]) -> np.ndarray:
    """Return detections as a detector does: by falling score."""
    found = np.array(given, np.float32).reshape(-1, 6)
    return found[np.argsort(-found[:, 4], kind="stable")]


def one(followed: Tracker, frame: int, *given: tuple[float, ...]) -> int:
    """Return the number of the best detection of a frame."""
    return int(followed.update(rows(*given), START_NS + frame * PERIOD_NS)[0])


@dataclass
class Corruption:
    """What becomes of the truth.

    Attributes:
        missing: Share of the boxes that are not detected.
        faint: Share of those that are whose score is low.
        noise: Standard deviation of an edge, of the side of the box.
        false: Detections of nothing per frame; their scores are low.
    """

    missing: float = 0.0
    faint: float = 0.0
    noise: float = 0.0
    false: float = 0.0


CLEAN = Corruption()
NOISY = Corruption(missing=0.1, faint=0.2, noise=0.03, false=1.0)


def detections(
    seed: int, rate_hz: int, seconds: int, corruption: Corruption
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield stamp, rows, and which shape each row is of, -1 for none."""
    rng = np.random.default_rng(seed)
    stream = ShapeStream([GREY], ShapesConfig(shapes=(4, 9)), seed)
    for frame in range(rate_hz * seconds):
        time_ns = frame * 1_000_000_000 // rate_hz
        truth = stream.truth(time_ns)
        count, false = len(truth.boxes), rng.poisson(corruption.false)
        sides = np.tile(truth.boxes[:, 2:] - truth.boxes[:, :2], 2)
        boxes = truth.boxes + corruption.noise * sides * rng.standard_normal((count, 4))
        faint = rng.random(count) < corruption.faint
        scores = np.where(faint, rng.uniform(0.12, 0.45, count), rng.uniform(0.62, 0.95, count))
        seen = rng.random(count) >= corruption.missing
        corners = rng.uniform(0.0, 280.0, (false, 2))
        nothing = np.column_stack(
            (
                corners,
                corners + rng.uniform(8.0, 60.0, (false, 2)),
                rng.uniform(0.1, 0.5, false),
                rng.integers(0, len(stream.names), false),
            )
        )
        found = np.concatenate((np.column_stack((boxes, scores, truth.labels))[seen], nothing))
        found = found.astype(np.float32)
        things = np.concatenate((truth.identities[seen], np.full(false, -1)))
        order = np.argsort(-found[:, 4], kind="stable")
        yield START_NS + time_ns, found[order], things[order]


@dataclass
class Verdict:
    """How well things were followed.

    Attributes:
        detections: Of things.
        named: How many of them had a number.
        switches: How often a thing had another number than before.
        thefts: How often a number was on another thing than before.
        interruptions: How often a thing that had a number had none, while it was detected.
    """

    detections: int = 0
    named: int = 0
    switches: int = 0
    thefts: int = 0
    interruptions: int = 0


def judge(seeds: Sequence[int], rate_hz: int, corruption: Corruption) -> Verdict:
    verdict = Verdict()
    for seed in seeds:
        followed = tracker()
        number_of: dict[int, int] = {}
        thing_of: dict[int, int] = {}
        before: dict[int, int] = {}
        for stamp_ns, found, things in detections(seed, rate_hz, 10, corruption):
            now: dict[int, int] = {}
            for thing, number in zip(things.tolist(), followed.update(found, stamp_ns).tolist(), strict=True):
                if thing < 0:
                    continue
                now[thing] = number
                verdict.detections += 1
                if number == UNTRACKED:
                    verdict.interruptions += before.get(thing, UNTRACKED) != UNTRACKED
                    continue
                verdict.named += 1
                verdict.switches += number_of.setdefault(thing, number) != number
                verdict.thefts += thing_of.setdefault(number, thing) != thing
                number_of[thing], thing_of[number] = number, thing
            before = now
    return verdict


@pytest.mark.parametrize(
    ("rate_hz", "corruption", "switches", "thefts", "interruptions", "named"),
    [(30, CLEAN, 2.5, 0.5, 0.5, 0.98), (30, NOISY, 3.5, 0.5, 2.0, 0.94), (10, NOISY, 15.0, 1.0, 12.0, 0.88)],
)
def test_things_of_a_stream_keep_their_numbers(
    rate_hz: int, corruption: Corruption, switches: float, thefts: float, interruptions: float, named: float
) -> None:
    """Limits are per 1000 detections; shapes hide each other for any time and bounce off the edges."""
    verdict = judge(range(3), rate_hz, corruption)
    share = 1000 / verdict.detections
    assert verdict.switches * share < switches
    assert verdict.thefts * share < thefts
    assert verdict.interruptions * share < interruptions
    assert verdict.named / verdict.detections > named


def test_the_same_frames_get_the_same_numbers() -> None:
    first, second = (tracker() for _ in range(2))
    for stamp_ns, found, _ in detections(5, 30, 3, NOISY):
        assert first.update(found, stamp_ns).tolist() == second.update(found, stamp_ns).tolist()


def test_a_thing_gets_its_number_when_it_has_been_seen_often_enough() -> None:
    followed = tracker(minimum_hits=3)
    assert [one(followed, frame, row(50, 50)) for frame in range(5)] == [-1, -1, 1, 1, 1]
    eager = tracker(minimum_hits=1)
    assert one(eager, 0, row(50, 50)) == 1


def test_what_is_seen_now_and_then_gets_none() -> None:
    followed = tracker()
    for frame in range(0, 20, 2):
        assert one(followed, frame, row(50, 50)) == UNTRACKED
        followed.update(NOTHING, START_NS + (frame + 1) * PERIOD_NS)


def test_things_of_one_class_that_cross_keep_their_numbers() -> None:
    followed = tracker()
    for frame in range(60):
        right, left = row(20 + 5 * frame, 100), row(320 - 5 * frame, 112, score=0.8)
        hidden = abs(right[0] - left[0]) < 20
        given = rows(right) if hidden else rows(right, left)
        numbers = followed.update(given, START_NS + frame * PERIOD_NS).tolist()
        if frame:
            assert numbers == [1, 2][: len(given)]


@pytest.mark.parametrize("empty_frames", [True, False])
def test_what_is_hidden_for_300_ms_keeps_its_number(empty_frames: bool) -> None:
    followed = tracker()
    places = [row(20 + 6 * frame, 100 + frame) for frame in range(60)]  # 180 px/s
    for frame, place in enumerate(places):
        if not 30 <= frame < 39:
            number = one(followed, frame, place)
            assert number == 1 or frame == 0
        elif empty_frames:
            followed.update(NOTHING, START_NS + frame * PERIOD_NS)


@pytest.mark.parametrize("empty_frames", [True, False])
@pytest.mark.parametrize(("absent", "number"), [(14, 1), (17, 2)])  # 495 and 594 ms since it was seen
def test_what_is_not_seen_for_longer_than_the_buffer_gets_a_new_number(
    empty_frames: bool, absent: int, number: int
) -> None:
    followed = tracker(buffer_ms=500.0)
    for frame in range(5):
        one(followed, frame, row(50, 50))
    if empty_frames:
        for frame in range(5, 5 + absent):
            assert followed.update(NOTHING, START_NS + frame * PERIOD_NS).shape == (0,)
    again = 5 + absent
    one(followed, again, row(50, 50))
    assert one(followed, again + 1, row(50, 50)) == number


def test_frames_may_come_at_any_rate() -> None:
    followed = tracker()
    rng = np.random.default_rng(1)
    stamp_ns, numbers = START_NS, []
    for _ in range(40):
        x = 120 * (stamp_ns - START_NS) * 1e-9
        numbers.append(int(followed.update(rows(row(x, 80)), stamp_ns)[0]))
        stamp_ns += int(rng.uniform(20, 190)) * MS
    assert numbers == [-1, *[1] * 39]


def test_a_faint_detection_keeps_a_track_alive_and_begins_none() -> None:
    followed = tracker(buffer_ms=100.0, high_threshold=0.5, start_threshold=0.6)
    for frame in range(30):
        given = [row(50, 50, score=0.15 if frame > 4 else 0.9), row(200, 200, score=0.55)]
        numbers = followed.update(rows(*given), START_NS + frame * PERIOD_NS).tolist()
        if frame > 4:
            assert numbers == [UNTRACKED, 1]
    below = followed.update(rows(row(50, 50, score=0.05)), START_NS + 30 * PERIOD_NS)
    assert below.tolist() == [UNTRACKED]


def test_a_track_does_not_change_its_class() -> None:
    followed = tracker()
    labels = [0, 0, 0, 1, 1, 1, 0]
    assert [one(followed, frame, row(50, 50, label=label)) for frame, label in enumerate(labels)] == [
        -1, 1, 1, -1, 2, 2, 1,
    ]  # fmt: skip


def test_a_second_box_of_one_thing_has_no_number() -> None:
    """Models without NMS sometimes have one; the better one keeps the number, whichever fits."""
    followed = tracker()
    rng = np.random.default_rng(2)
    for frame in range(30):
        x, y = rng.uniform(48.0, 52.0, 2)
        given = [row(50, 50), row(x, y, score=0.8 if frame % 3 else 0.3), row(x + 60, y, score=0.7)]
        numbers = followed.update(rows(*given), START_NS + frame * PERIOD_NS).tolist()
        if frame:
            assert numbers == ([1, -1, 2] if frame % 3 else [1, 2, -1])


def test_things_of_two_classes_may_be_in_one_place() -> None:
    followed = tracker()
    for frame in range(5):
        given = rows(row(50, 50), row(50, 50, score=0.8, label=1))
        numbers = followed.update(given, START_NS + frame * PERIOD_NS).tolist()
        assert numbers == ([1, 2] if frame else [-1, -1])


def test_when_time_goes_back_all_tracks_end_and_no_number_comes_again() -> None:
    followed = tracker()
    for frame in range(10):
        one(followed, frame, row(50, 50))
    assert [one(followed, frame, row(50, 50)) for frame in range(-1000, -997)] == [-1, 2, 2]


def test_no_number_comes_again() -> None:
    followed = tracker(buffer_ms=50.0)
    given: list[int] = []
    for visit in range(20):
        numbers = [one(followed, 10 * visit + frame, row(50, 50)) for frame in range(3)]
        assert numbers[1] == numbers[2]
        given.append(numbers[2])
    assert given == sorted(set(given))


def test_two_frames_of_one_stamp_are_no_harm() -> None:
    followed = tracker()
    assert [one(followed, 0, row(50, 50)) for _ in range(3)] == [-1, 1, 1]


def test_cameras_do_not_know_of_each_other() -> None:
    alone, among_others, other = (tracker() for _ in range(3))
    for (stamp_ns, found, _), (_, strange, _) in zip(
        detections(1, 30, 2, NOISY), detections(2, 30, 2, NOISY), strict=True
    ):
        other.update(strange, stamp_ns - 500 * MS)
        assert alone.update(found, stamp_ns).tolist() == among_others.update(found, stamp_ns).tolist()


def test_a_flood_of_detections_is_bounded() -> None:
    followed = tracker(minimum_hits=1)
    side = LIMIT + 100
    flood = rows(*(row(50 * (n % 20), 50 * (n // 20), score=0.9 - n * 1e-4) for n in range(side)))
    for frame in range(3):
        numbers = followed.update(flood, START_NS + frame * PERIOD_NS)
        assert numbers[:LIMIT].tolist() == list(range(1, LIMIT + 1))
        assert np.all(numbers[LIMIT:] == UNTRACKED)
    elsewhere = flood + np.array([2000, 0, 2000, 0, 0, 0], np.float32)
    assert np.all(followed.update(elsewhere, START_NS + 4 * PERIOD_NS) == UNTRACKED)


def test_thresholds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="low_threshold <= high_threshold <= start_threshold"):
        tracker(low_threshold=0.6)
    with pytest.raises(ConfigurationError, match="one of: none, bytetrack"):
        tracker(kind="off")


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[tracking\]"):
        tracker()
