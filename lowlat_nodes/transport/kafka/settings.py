# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How a Kafka cluster is reached, and what is read from it; names as users of Kafka know them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.token import read_token

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP"
"""Environment variable that names a broker where the parameter does not."""

_SOCKET_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class Connection:
    """How to reach a cluster.

    FINK takes `sasl_plaintext` with `SCRAM-SHA-512`, the brokers of ZTF and Rubin take `SCRAM-SHA-512`, too.
    """

    bootstrap: str = setting(
        "", doc="Brokers to ask first, HOST:PORT with commas between; empty: the variable KAFKA_BOOTSTRAP."
    )
    security_protocol: str = setting(
        "plaintext",
        choices=("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
        doc="Encryption (ssl) and authentication (sasl).",
    )
    sasl_mechanism: str = setting(
        "SCRAM-SHA-512", choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), doc="Form of authentication."
    )
    username: str = setting("", doc="Name for authentication.")
    password_file: str = setting("", doc="File that holds the password and only its owner can read.")
    ca_file: str = setting("", doc="PEM file of the authorities to trust (ssl); empty trusts the system's.")

    def __post_init__(self) -> None:
        sasl = self.security_protocol.startswith("sasl")
        if sasl and not (self.username and self.password_file):
            raise ConfigurationError(
                f"security_protocol {self.security_protocol}: expected username and password_file, got "
                f"{self.username!r} and {self.password_file!r}"
            )
        if not sasl and (self.username or self.password_file):
            raise ConfigurationError(
                f"security_protocol {self.security_protocol} uses neither username nor password_file; "
                f"expected sasl_plaintext or sasl_ssl with them"
            )

    def client(self) -> dict[str, Any]:
        """Return the configuration of a client, as librdkafka names it.

        Raises:
            ConfigurationError: If no broker is named, or the password cannot be read.
        """
        bootstrap = self.bootstrap or os.environ.get(BOOTSTRAP_VARIABLE, "")
        if not bootstrap:
            raise ConfigurationError(f"expected a broker as HOST:PORT in bootstrap or {BOOTSTRAP_VARIABLE}")
        client: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "security.protocol": self.security_protocol,
            "socket.timeout.ms": _SOCKET_TIMEOUT_MS,
            "socket.keepalive.enable": True,
            "client.id": "lowlat",
            "log_level": 2,  # what concerns us comes as errors
        }
        if self.security_protocol.startswith("sasl"):
            client |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.username,
                "sasl.password": self._password(),
            }
        if self.ca_file:
            client["ssl.ca.location"] = self.ca_file
        return client

    def _password(self) -> str:
        try:
            return read_token(self.password_file)
        except ConfigurationError as error:
            raise ConfigurationError(f"password_file: {error}") from error


@dataclass(frozen=True)
class Consumption:
    """What to read, and as which group."""

    topics: tuple[str, ...] = setting(
        (), doc="Topics to read; one that starts with ^ is a regular expression."
    )
    group: str = setting("", doc="Consumer group: its members share the partitions, and its place is kept.")
    offset_reset: str = setting(
        "earliest", choices=("earliest", "latest"), doc="Where a group begins that has no place yet."
    )
    session_timeout_ms: int = setting(
        10_000, unit="ms", low=1_000, high=1_800_000, doc="After so long a silence a member counts as dead."
    )
    queued_mb: int = setting(
        32, unit="MB", low=1, high=2_000, doc="How much is fetched ahead of what is asked for."
    )
    max_packet_mb: int = setting(16, unit="MB", low=1, high=900, doc="Largest packet that must get through.")

    def consumer(self) -> dict[str, Any]:
        """Return the configuration of a consumer, as librdkafka names it.

        Raises:
            ConfigurationError: If no topic or no group is named.
        """
        if not self.topics or not all(self.topics):
            raise ConfigurationError(f"topics: expected at least one topic, got {list(self.topics)}")
        if not self.group:
            raise ConfigurationError("group: expected the name of a consumer group, got nothing")
        return {
            "group.id": self.group,
            "partition.assignment.strategy": "cooperative-sticky",  # partitions that stay go on meanwhile
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # a place that is gone is our business, see KafkaSource
            "session.timeout.ms": self.session_timeout_ms,
            "heartbeat.interval.ms": min(3_000, self.session_timeout_ms // 3),
            "queued.max.messages.kbytes": self.queued_mb << 10,
            "fetch.max.bytes": max(self.queued_mb, self.max_packet_mb) << 20,
            "fetch.message.max.bytes": min(self.queued_mb, self.max_packet_mb) << 20,
            "receive.message.max.bytes": (max(self.queued_mb, self.max_packet_mb) + 1) << 20,
            "fetch.wait.max.ms": 100,  # a broker that has nothing answers then; some do not look up before
            "fetch.queue.backoff.ms": 20,  # a full queue is soon empty: the default of 1 s starves us
        }
