# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The alerts of a run, each with an identity, and what became of each of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lowlat_nodes.alerts.container import MAGIC
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.timetable import Timetable
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.dead_letter_files import PACKET

FILE = "night.json"

_S = 1_000_000_000
_ENDS_EARLY_S = 1.0  # so that the last results come before the run ends


class Plan(Protocol):
    """What the replay node is told, see `nodes.alert.replay_config`."""

    def night(self, stopping: Callable[[], bool]) -> tuple[Timetable, str]:
        """Return what is sent when, and what could not be read of it."""
        ...


@dataclass(frozen=True, eq=False)
class Night:
    """Alerts in the order in which they are sent.

    Attributes:
        packets: Of one alert each.
        identities: As `identities_of` has them.
    """

    packets: Sequence[Packet] = ()
    identities: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Plan, seconds: float) -> Night:
        """Return what the replay node sends in so many seconds, and the second before is for the results.

        Raises:
            ConfigurationError: If that is nothing, or packets that do not carry their schema.
            MissingExtra: If a library that a simulated night needs is not installed.
        """
        table, _ = config.night(lambda: False)
        last_ns = int((seconds - _ENDS_EARLY_S) * _S)
        packets = table.packets[: int(np.searchsorted(table.due_ns, last_ns))]
        if any(packet.key or bytes(packet.data[: len(MAGIC)]) != MAGIC for packet in packets):
            raise ConfigurationError(
                "expected alerts as Avro containers, as ZTF sends them, for alert_replay_node; these come "
                "without their schema"
            )
        return cls(packets, identities_of(packets))

    def save(self, folder: Path) -> Path:
        """Write each packet into a file of a new folder, in order; return the folder."""
        folder.mkdir()
        for number, packet in enumerate(self.packets):
            (folder / f"{number:06d}.avro").write_bytes(packet.data)
        return folder


def identities_of(packets: Sequence[Packet]) -> tuple[str, ...]:
    """Return what tells each alert from others: survey and number, or a hash of what cannot be read."""
    read = Ingest().read(packets)
    names = [f"packet:{hashlib.sha256(packet.data).hexdigest()[:16]}" for packet in packets]
    alert_ids = read.light_curves.alert_id.tolist()
    for place, survey, number in zip(read.packets.tolist(), read.surveys, alert_ids, strict=True):
        names[place] = f"{survey}:{number}"
    return tuple(names)


def dead_letters(folder: Path) -> tuple[str, ...]:
    """Return the identities of the dead letters in a folder; none where there is no folder."""
    files = sorted(folder.glob(f"*{PACKET}"))
    return identities_of([Packet(file.read_bytes()) for file in files]) if files else ()


@dataclass(frozen=True)
class Account:
    """What became of each alert.

    Attributes:
        sent: How many alerts the replay sent.
        results: How many of them have a result that was received.
        dead_letters: How many have none, and are dead letters.
        lost: Identities of those that are neither.
        repeated: Results that came again.
        strange: Results of alerts that were not sent.
    """

    sent: int
    results: int
    dead_letters: int
    lost: tuple[str, ...]
    repeated: int
    strange: int


def account(sent: Sequence[str], received: Iterable[str], letters: Iterable[str]) -> Account:
    """Compare the alerts that were sent with the results and dead letters that arrived, one by one.

    Args:
        sent: Identities, each once.
        received: Identities of the results as a receiver got them.
        letters: Identities of the dead letters.
    """
    results, wanted, buried = Counter(received), set(sent), set(letters)
    answered = wanted & results.keys()
    return Account(
        sent=len(sent),
        results=len(answered),
        dead_letters=len((wanted - answered) & buried),
        lost=tuple(name for name in sent if name not in results and name not in buried),
        repeated=sum(count - 1 for count in results.values()),
        strange=len(results.keys() - wanted),
    )


def save_identities(night: Night, folder: Path) -> None:
    """Keep what was to be sent beside the records of a run."""
    (folder / FILE).write_text(json.dumps(night.identities) + "\n", encoding="utf-8")


def load_identities(folder: Path) -> tuple[str, ...]:
    """Read what `save_identities` wrote.

    Raises:
        ConfigurationError: If it is not there.
    """
    try:
        return tuple(map(str, json.loads((folder / FILE).read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{folder}: expected {FILE} of a demo run: {error}") from error
