# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The night that ships, and how it was made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from lowlat_nodes import resources
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.container import split
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.sim.night import write_night
from lowlat_nodes.stream.payload import Packet


@pytest.fixture(scope="module")
def packets() -> list[Packet]:
    return [Packet(each) for each in split(resources.path("recordings", "ztf_night.avro").read_bytes())]


def test_the_card_is_that_of_the_file() -> None:
    data = resources.path("recordings", "ztf_night.avro").read_bytes()
    card = resources.path("recordings", "ztf_night.md").read_text(encoding="utf-8").split("---")[1]
    said = yaml.safe_load(card)
    assert said["sha256"] == hashlib.sha256(data).hexdigest()
    assert said["bytes"] == len(data)


def test_every_alert_can_be_read_and_is_of_an_object_that_is_named_by_what_it_is(
    packets: list[Packet],
) -> None:
    read = Ingest().read(packets)
    assert len(packets) == 600
    assert not read.refused
    assert set(read.surveys) == {"ztf"}
    truths = [name.rpartition(" ")[0] for name in read.light_curves.object_id]
    assert set(truths) == set(CLASSES)
    assert len(set(read.light_curves.alert_id.tolist())) == 600


def test_the_same_seed_makes_the_same_alerts(packets: list[Packet], tmp_path: Path) -> None:
    pytest.importorskip("sncosmo")
    pytest.importorskip("fastavro")
    again = tmp_path / "again.avro"
    write_night(again, 20, 9)
    mine, theirs = (Ingest().read(each).light_curves for each in (packets[:20], _read(again)))
    assert mine.object_id == theirs.object_id
    assert mine.offsets.tolist() == theirs.offsets.tolist()
    # Libraries of other versions may round otherwise.
    assert mine.flux_njy.tolist() == pytest.approx(theirs.flux_njy.tolist(), rel=1e-4, abs=1.0)


def _read(path: Path) -> list[Packet]:
    return [Packet(each) for each in split(path.read_bytes())]
