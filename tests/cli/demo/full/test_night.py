# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The alerts of a run, and the account of what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes import resources
from lowlat_nodes.alerts.container import split
from lowlat_nodes.cli.demo.full.night import (
    Night,
    account,
    dead_letters,
    identities_of,
    load_identities,
    save_identities,
)
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Packet


@pytest.fixture(scope="module")
def packets() -> list[Packet]:
    """The first alerts of the night that ships."""
    data = resources.path("recordings", "ztf_night.avro").read_bytes()
    return [Packet(each) for each, _ in zip(split(data), range(12), strict=False)]


def test_every_alert_has_an_identity_of_its_own_whether_it_can_be_read_or_not(packets: list[Packet]) -> None:
    cut = [Packet(packet.data[:-400]) for packet in packets]

    names = identities_of([*packets, *cut])

    assert len(set(names)) == 24
    assert all(name.startswith("ztf:") for name in names[:12])
    assert all(name.startswith("packet:") for name in names[12:])
    assert identities_of(packets) == names[:12]


def test_a_saved_night_is_read_again_in_order(packets: list[Packet], tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from lowlat_nodes.nodes.alert.replay_config import AlertReplayConfig

    folder = Night(packets, identities_of(packets)).save(tmp_path / "night")

    again = Night.of(AlertReplayConfig(path=(str(folder),), per_second=5.0), 100.0)
    assert again.identities == identities_of(packets)
    # Nothing is sent in the last second.
    assert len(Night.of(AlertReplayConfig(path=(str(folder),), per_second=5.0), 2.0).packets) == 5


def test_packets_that_need_a_key_are_refused(packets: list[Packet], tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from lowlat_nodes.nodes.alert.replay_config import AlertReplayConfig

    (tmp_path / "bare.avro").write_bytes(packets[0].data[100:])
    with pytest.raises(ConfigurationError, match="Avro containers"):
        Night.of(AlertReplayConfig(path=(str(tmp_path),), per_second=5.0), 10.0)


def test_each_alert_is_looked_for_by_its_identity() -> None:
    found = account(["a", "b", "c", "d", "e"], ["a", "c", "c", "x"], ["b", "c"])

    assert found.sent == 5
    assert found.results == 2  # a, c
    assert found.dead_letters == 1  # b: c has a result
    assert found.lost == ("d", "e")
    assert found.repeated == 1  # the second c
    assert found.strange == 1  # x


def test_as_many_results_as_alerts_do_not_hide_a_loss() -> None:
    found = account(["a", "b"], ["a", "a"], [])
    assert found.lost == ("b",)


def test_dead_letters_are_known_by_their_bytes(packets: list[Packet], tmp_path: Path) -> None:
    cut = Packet(packets[0].data[:-400])
    (tmp_path / "1.packet").write_bytes(cut.data)
    (tmp_path / "1.json").write_text("{}")

    assert dead_letters(tmp_path) == identities_of([cut])
    assert dead_letters(tmp_path / "none") == ()


def test_identities_are_kept(packets: list[Packet], tmp_path: Path) -> None:
    night = Night(packets, identities_of(packets))
    save_identities(night, tmp_path)
    assert load_identities(tmp_path) == night.identities
    (tmp_path / "night.json").write_text("7")
    with pytest.raises(ConfigurationError, match=r"expected night\.json"):
        load_identities(tmp_path)
