# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Large batches on a shared device: some alerts at a time, the same results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.alerts.alert_classifier import ALERTS, AlertClassifier
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.filters import Filters, FilterSettings
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.loading import load_classifier
from lowlat_nodes.alerts.shared_classifier import SharedClassifier, example_curves
from lowlat_nodes.inference.segments.sharing import Sharing
from lowlat_nodes.inference.turn import Unshared
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace

MS = 1_000_000


class Counting(Unshared):
    """Writes down what becomes of the device."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @contextmanager
    def job(self, bucket: str = "") -> Iterator[None]:  # noqa: ARG002
        self.events.append("begin")
        yield
        self.events.append("end")

    def between(self) -> None:
        self.events.append("between")


class Costly:
    """Takes a ms for each alert, and so many more for each epoch above 100; says which alerts it saw."""

    name = "costly"
    sha256 = "00" * 32
    threshold = 0.5
    batch = 4

    def __init__(self, per_epoch_ms: float = 0.0) -> None:
        self.now_ns = 0
        self.batches: list[list[int]] = []
        self._per_epoch_ms = per_epoch_ms

    def clock(self) -> int:
        return self.now_ns

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        long = np.maximum(np.diff(light_curves.offsets) - 100, 0).sum()
        self.now_ns += round((len(light_curves) + self._per_epoch_ms * long) * MS)
        self.batches.append(light_curves.alert_id.tolist())
        found = np.zeros((len(light_curves), len(CLASSES)), np.float32)
        found[:, 0] = light_curves.alert_id
        return found


def curves(*epochs: int) -> LightCurves:
    offsets = np.concatenate([[0], np.cumsum(epochs)]).astype(np.int64)
    total = int(offsets[-1])
    random = np.random.default_rng(total)
    return LightCurves(
        np.arange(len(epochs)),
        [str(number) for number in range(len(epochs))],
        offsets,
        60_000.0 + np.arange(total),
        np.zeros(total, np.uint8),
        random.normal(1e4, 1e3, total),
        np.full(total, 1e3),
        np.ones(total, np.bool_),
    )


@pytest.mark.parametrize(
    ("segment_ms", "sizes"),
    [(9.5, [4, 8, 8, 5]), (3.0, [4, 3, 3, 3, 3, 3, 3, 3]), (0.5, [4, *[1] * 21]), (100.0, [4, 21])],
)
def test_a_segment_has_as_many_alerts_as_will_be_done(segment_ms: float, sizes: list[int]) -> None:
    costly, turn = Costly(), Counting()
    shared = SharedClassifier(costly, Sharing(turn, segment_ms), costly.clock)
    made = shared.classify(curves(*[3] * 25))
    assert made[:, 0].tolist() == list(range(25))
    assert [len(batch) for batch in costly.batches] == sizes
    assert turn.events == ["begin", *["between"] * (len(sizes) - 1), "end"]


def test_what_long_light_curves_cost_is_remembered_for_a_while() -> None:
    costly = Costly(per_epoch_ms=1.0)
    shared = SharedClassifier(costly, Sharing(Counting(), 40.0), costly.clock)
    shared.classify(curves(*[110] * 8))  # 11 ms each
    assert [len(batch) for batch in costly.batches] == [4, 3, 1]
    shared.classify(curves(*[3] * 400))
    sizes = [len(batch) for batch in costly.batches[3:]]
    assert sizes[0] == 3
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert max(sizes) >= 20


def test_short_light_curves_come_first_and_results_are_in_order() -> None:
    costly = Costly()
    shared = SharedClassifier(costly, Sharing(Counting(), 4.5), costly.clock)
    made = shared.classify(curves(9, 2, 7, 0, 5, 2, 8, 1))
    assert costly.batches == [[3, 7, 1, 5], [4, 2, 6, 0]]
    assert made[:, 0].tolist() == list(range(8))


def test_without_a_wished_length_a_batch_is_one_segment() -> None:
    costly, turn = Costly(), Counting()
    SharedClassifier(costly, Sharing(turn), costly.clock).classify(curves(*[3] * 25))
    assert costly.batches == [list(range(25))]
    assert turn.events == ["begin", "end"]


def test_no_alerts_are_a_job_too() -> None:
    costly = Costly()
    assert len(SharedClassifier(costly, Sharing(Counting(), 5.0), costly.clock).classify(curves())) == 0


def test_it_says_what_the_classifier_behind_it_says_and_passes_the_threshold_on() -> None:
    costly = Costly()
    shared = SharedClassifier(costly, Sharing(Counting(), 5.0))
    assert (shared.name, shared.sha256, shared.batch, shared.threshold) == ("costly", "00" * 32, 4, 0.5)
    shared.threshold = 0.8
    assert costly.threshold == shared.threshold == 0.8


def test_a_warm_up_is_of_full_batches_often_enough_to_know_the_cost() -> None:
    costly, turn = Costly(), Counting()
    sharing = Sharing(turn, 5.0)
    SharedClassifier(costly, sharing, costly.clock).warm_up(sharing, 10)
    assert turn.events.count("begin") == len(list(sharing.warm_ups())) > 2
    assert sum(map(len, costly.batches)) == 10 * turn.events.count("begin")


def test_the_example_is_of_light_curves_as_they_come() -> None:
    made = example_curves(20)
    epochs = np.diff(made.offsets)
    assert (len(made), epochs.min(), epochs.max()) == (20, 12, 150)
    assert made.detected.any()
    assert not made.detected.all()
    assert (made.error_njy > 0).all()
    for begin, end in zip(made.offsets, made.offsets[1:], strict=False):
        assert (np.diff(made.mjd[begin:end]) > 0).all()


@pytest.mark.parametrize("model", ["tokens", "t2"])
def test_probabilities_are_those_of_the_whole_batch(model: str) -> None:
    whole, turn = load_classifier(model), Counting()
    light_curves = example_curves(61).take(np.random.default_rng(4).permutation(61))
    expected = whole.classify(light_curves)
    shared = SharedClassifier(whole, Sharing(turn, 1.0))
    for _ in range(3):
        np.testing.assert_allclose(shared.classify(light_curves), expected, rtol=0, atol=1e-5)
    assert turn.events.count("between") >= 3


@pytest.mark.alerts
def test_results_order_and_counts_are_unchanged() -> None:
    pytest.importorskip("fastavro")
    from lowlat_nodes.sim.alert_packets import ztf_packets

    packets = list(ztf_packets(example_curves(50), cutout_bytes=1))
    packets[7:7] = [Packet(b"rubbish")]
    packets.append(Packet(b"more"))
    messages = [
        Message(ALERTS, packet, Trace(received_ns=number), number) for number, packet in enumerate(packets)
    ]
    filters = {"sure": FilterSettings(keep="detections > 20")}
    model = load_classifier("tokens")
    made = [
        AlertClassifier(Ingest(), classifier, Filters(filters))
        for classifier in (model, SharedClassifier(model, Sharing(Counting(), 1.0)))
    ]
    expected, got = (each.process_batch(messages) for each in made)
    assert [(each.topic, each.sequence) for each in got] == [(each.topic, each.sequence) for each in expected]
    for right, one in zip(expected, got, strict=True):
        if hasattr(right.payload, "fields"):
            assert one.payload.key == right.payload.key
            assert one.payload.fields["best"] == right.payload.fields["best"]
            assert one.payload.fields["received_ns"] == right.payload.fields["received_ns"]
            right_by_name = right.payload.fields["p"]
            assert one.payload.fields["p"] == pytest.approx(right_by_name, abs=1e-5)
    for name in ("classes", "filters.kept"):
        first, second = (
            each.classes.snapshot() if name == "classes" else each.filters.kept.snapshot() for each in made
        )
        assert first == second
    assert made[0].batches().count == made[1].batches().count == 1
