# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream of alerts: evenly in time, the same each time, readable."""

from __future__ import annotations

import itertools
import sys
import time

import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.sim.alert_source import SimulatedAlerts, simulated_alerts, without_classes
from lowlat_nodes.sim.sky import hsiao, population
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.message import Message


@pytest.fixture
def without_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not the library of supernovae is installed, it is not found."""
    monkeypatch.setitem(sys.modules, "sncosmo", None)
    monkeypatch.setattr(population, "NEEDS", {"SN Ia": "a_module_that_is_not_there"})
    hsiao.template.cache_clear()


def some(source: SimulatedAlerts, count: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < count:
        messages += source.poll(min(count - len(messages), 4), 0.1)
    return messages


def test_each_alert_can_be_read_and_is_named_by_what_it_is() -> None:
    messages = some(SimulatedAlerts(1000.0, ManualClock(5), topic="alerts", seed=2), 25)
    assert [message.sequence for message in messages] == list(range(25))
    assert {(message.topic, message.trace.received_ns) for message in messages} == {("alerts", 5)}
    read = Ingest().read([message.payload for message in messages])
    assert not read.refused
    assert read.light_curves.alert_id.tolist() == list(range(25))
    for number, name in enumerate(read.light_curves.object_id):
        kind, _, last = name.rpartition(" ")
        assert kind in CLASSES
        assert last == str(number)


def test_the_same_seed_gives_the_same_alerts() -> None:
    first, second = (some(SimulatedAlerts(1000.0, ManualClock(), seed=2), 3) for _ in range(2))
    assert [each.payload.data for each in first] == [each.payload.data for each in second]
    other = some(SimulatedAlerts(1000.0, ManualClock(), seed=3), 3)
    assert [each.payload.data for each in first] != [each.payload.data for each in other]


def test_no_alert_comes_before_it_is_due() -> None:
    source = SimulatedAlerts(50.0, ManualClock())
    while source.poll(100, 0.0):
        pass  # what was due meanwhile
    begin = time.monotonic()
    some(source, 11)
    assert time.monotonic() - begin >= 10 / 50.0
    assert source.poll(0, 0.0) == []
    assert not source.exhausted


def test_it_does_not_make_up_for_a_long_pause() -> None:
    source = SimulatedAlerts(2.0, ManualClock())
    some(source, 1)
    time.sleep(2.5)
    assert len(source.poll(100, 0.0)) <= 3  # of a second, not of all of the pause


@pytest.mark.usefixtures("without_templates")
def test_without_templates_of_supernovae_there_are_the_other_classes() -> None:
    read = Ingest().read(list(itertools.islice(simulated_alerts(0), 60)))
    kinds = {name.rpartition(" ")[0] for name in read.light_curves.object_id}
    assert kinds == set(CLASSES) - {"SN Ia"}
    assert without_classes() == "no SN Ia: pip install 'lowlat_nodes[sky]' brings them"
    with pytest.raises(MissingExtra, match="sncosmo"):
        next(simulated_alerts(0, ["SN Ia"]))


def test_only_the_classes_that_are_named() -> None:
    read = Ingest().read(list(itertools.islice(simulated_alerts(0, ["TDE", "AGN"]), 12)))
    assert {name.rpartition(" ")[0] for name in read.light_curves.object_id} == {"TDE", "AGN"}
    with pytest.raises(ConfigurationError, match="got 'SN'"):
        next(simulated_alerts(0, ["SN"]))
