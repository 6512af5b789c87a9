# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets in, results, filtered results and dead letters out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.alerts.alert_classifier import ALERTS, RESULTS, AlertClassifier
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.filters import Filters, FilterSettings
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.result import ABSTAINED
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet, Record
from lowlat_nodes.stream.trace import Trace

pytestmark = pytest.mark.alerts
pytest.importorskip("fastavro")


class Brightest:
    """Takes what is brighter than 10 uJy for an AGN, and knows nothing of the rest."""

    name = "brightest"
    sha256 = "00" * 32
    threshold = 0.5

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        found = np.full((len(light_curves), len(CLASSES)), 1 / 12, np.float32)
        bright = light_curves.flux_njy[light_curves.offsets[1:] - 1] > 1e4
        found[bright] = 0.01
        found[bright, CLASSES.index("AGN")] = 0.89
        return found


def messages(*fluxes_njy: float) -> list[Message]:
    """Return alerts of one detection each, and what is none where the flux is 0."""
    curves = LightCurves(
        np.arange(len(fluxes_njy)),
        [f"ZTF{number}" for number in range(len(fluxes_njy))],
        np.arange(len(fluxes_njy) + 1),
        np.full(len(fluxes_njy), 60000.0),
        np.full(len(fluxes_njy), CODES["ztf_g"], np.uint8),
        np.array([flux or 1.0 for flux in fluxes_njy]),
        np.full(len(fluxes_njy), 100.0),
        np.ones(len(fluxes_njy), np.bool_),
    )
    packets = list(ztf_packets(curves, cutout_bytes=1))
    return [
        Message(
            ALERTS,
            packets[number] if flux else Packet(b"rubbish %d" % number),
            Trace(received_ns=number),
            number,
        )
        for number, flux in enumerate(fluxes_njy)
    ]


def classifier(**filters: str) -> AlertClassifier:
    settings = {name: FilterSettings(keep=text) for name, text in filters.items()}
    return AlertClassifier(Ingest(), Brightest(), Filters(settings))


def test_each_alert_has_a_result_or_a_dead_letter() -> None:
    made = classifier(bright='best == "AGN"', none="detections > 1")
    out = made.process_batch(messages(1e5, 0, 1e3, 5e4))
    assert made.outputs == (RESULTS, DEAD_LETTERS, "bright", "none")
    assert [(message.topic, message.sequence) for message in out] == [
        (RESULTS, 0), (RESULTS, 2), (RESULTS, 3), ("bright", 0), ("bright", 3), (DEAD_LETTERS, 1),
    ]  # fmt: skip
    records = [message.payload for message in out[:3]]
    assert all(isinstance(record, Record) for record in records)
    assert [record.fields["best"] for record in records] == ["AGN", ABSTAINED, "AGN"]
    assert [record.fields["received_ns"] for record in records] == [0, 2, 3]
    letter = out[-1].payload
    assert isinstance(letter, DeadLetter)
    assert letter.packet.data == b"rubbish 1"
    assert "expected an Avro container" in letter.reason


def test_one_alert_is_a_batch_too() -> None:
    (out,) = classifier().process(messages(1e5)[0])
    assert out.payload.key == b"ztf:0"


def test_what_came_is_counted() -> None:
    made = classifier(bright='best == "AGN"')
    made.process_batch(messages(1e5, 0, 1e3, 5e4))
    made.process_batch(messages(0, 0))
    assert made.classes.snapshot() == {"AGN": 2, ABSTAINED: 1}
    assert made.filters.kept.snapshot() == {"bright": 2}
    batches = made.batches()
    assert (batches.count, batches.total) == (2, 6)


def test_the_threshold_may_change_and_go_back() -> None:
    made = classifier()
    made.abstain_below(0.9)
    assert made.process(messages(1e5)[0])[0].payload.fields["best"] == ABSTAINED
    made.abstain_below(0.0)
    assert made.classifier.threshold == 0.5
    assert made.process(messages(1e5)[0])[0].payload.fields["best"] == "AGN"


@pytest.mark.parametrize("name", [RESULTS, DEAD_LETTERS])
def test_a_filter_cannot_have_the_name_of_another_output(name: str) -> None:
    with pytest.raises(ConfigurationError, match="has another output"):
        classifier(**{name: "detections > 1"})


def test_results_are_shown_with_their_light_curves_to_whoever_looks_on() -> None:
    made, seen = classifier(), []
    made.show = lambda records, curves: seen.append((records, curves))
    made.process_batch(messages(1e5, 0, 1e3))
    made.process_batch(messages(0))
    [(records, curves)] = seen
    assert [record.fields["alert_id"] for record in records] == curves.alert_id.tolist() == [0, 2]
