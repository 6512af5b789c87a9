# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is configured reaches the client library, and what cannot work is refused before."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.kafka.settings import BOOTSTRAP_VARIABLE, Connection, Consumption


def test_a_broker_with_a_password(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    settings = {
        "bootstrap": "broker:9093",
        "security_protocol": "sasl_plaintext",
        "username": "me",
        "password_file": str(token),
    }
    connection = build(Connection, settings)
    client = connection.client()
    assert client["bootstrap.servers"] == "broker:9093"
    assert client["security.protocol"] == "sasl_plaintext"
    assert client["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (client["sasl.username"], client["sasl.password"]) == ("me", "s3cret")
    assert "s3cret" not in repr(connection)
    token.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"password_file: .*chmod 600"):
        connection.client()


def test_the_environment_names_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOOTSTRAP_VARIABLE, "elsewhere:9092")
    assert Connection().client()["bootstrap.servers"] == "elsewhere:9092"
    assert Connection(bootstrap="here:9092").client()["bootstrap.servers"] == "here:9092"
    monkeypatch.delenv(BOOTSTRAP_VARIABLE)
    with pytest.raises(ConfigurationError, match=BOOTSTRAP_VARIABLE):
        Connection().client()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"security_protocol": "sasl_ssl"}, "username and password_file"),
        ({"security_protocol": "sasl_ssl", "username": "me"}, "password_file"),
        ({"username": "me"}, "sasl_plaintext"),
    ],
)
def test_halves_of_a_login_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Connection(**settings)


def test_nothing_is_committed_or_skipped_behind_our_back() -> None:
    consumer = Consumption(topics=("ztf",), group="g", queued_mb=4, max_packet_mb=8).consumer()
    assert consumer["enable.auto.commit"] is False
    assert consumer["auto.offset.reset"] == "error"
    assert consumer["queued.max.messages.kbytes"] == 4096
    assert consumer["receive.message.max.bytes"] > consumer["fetch.max.bytes"] == 8 << 20


@pytest.mark.parametrize("settings", [{"topics": [], "group": "g"}, {"topics": ["a"], "group": ""}])
def test_topics_and_a_group_are_needed(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        build(Consumption, settings).consumer()
