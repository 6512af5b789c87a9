# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams over ZeroMQ between nodes, found by the endpoints that they report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lowlat_nodes.cli.reports import Report
from lowlat_nodes.transport.loopback import is_loopback

PUBLISHES_AT = "zmq.endpoint"
"""The value of a report that says where the node publishes."""

_PEER = re.compile(r"peer\.(?P<name>.+)\.endpoint\Z")
_TCP = re.compile(r"tcp://\[?(?P<host>.+?)\]?:(?P<port>\d+)\Z")
_ANY = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104


@dataclass(frozen=True)
class ZmqLink:
    """A stream from one node to another.

    Attributes:
        source: Name of the node that publishes.
        target: Of the one that subscribes.
        name: What the latter calls it: its input, or its peer.
        in_place: Whether messages went through shared memory.
    """

    source: str
    target: str
    name: str
    in_place: bool


def links(reports: Sequence[Report]) -> Iterator[ZmqLink]:
    """Yield the streams of which both ends are known.

    Addresses that another machine may mean otherwise count as the same only if they are written the same.
    """
    publishers = [
        (report.node, report.values[PUBLISHES_AT]) for report in reports if PUBLISHES_AT in report.values
    ]
    for report in reports:
        for key, endpoint in report.values.items():
            match = _PEER.match(key)
            if match is None:
                continue
            for source, at in publishers:
                if source != report.node and _is_same(at, endpoint):
                    taken = report.number(f"peer.{match['name']}.in_place")
                    yield ZmqLink(source, report.node, match["name"], bool(taken))


def _is_same(bound: str, connected: str) -> bool:
    if bound == connected:
        return True
    ours, theirs = _TCP.match(bound), _TCP.match(connected)
    if ours is None or theirs is None or ours["port"] != theirs["port"]:
        return False
    return is_loopback(theirs["host"]) and (ours["host"] in _ANY or is_loopback(ours["host"]))
