# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What bridges tell each other of their topics: type and quality of service, before the first message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lowlat_nodes.stream.payload import Record
from lowlat_nodes.transport.arrays import WireError, shown

OFFERS = "lowlat_bridge/offers"
"""The topic on the wire, latched, of what a bridge sends."""

MOST_LATCHED = 1000
"""Messages of one topic that are kept for those who come later."""

_MOST = 10_000
_LONGEST = 255


@dataclass(frozen=True)
class Offer:
    """What a topic is on the side that it comes from.

    Attributes:
        type: Of its messages.
        ros: Its name on ROS.
        reliable: Whether a publisher offers that.
        latched: Whether late readers get the last messages.
        depth: How many messages late readers may get.
    """

    type: str
    ros: str
    reliable: bool
    latched: bool
    depth: int


@dataclass(frozen=True)
class Offers:
    """What one bridge sends.

    Attributes:
        participant: Tells the process of the bridge on its ROS graph, as the beginning of its gids.
        topics: By topic on the wire.
    """

    participant: bytes
    topics: Mapping[str, Offer]


def to_record(offers: Offers) -> Record:
    """Return offers as they go over the wire."""
    topics = {topic: asdict(offer) for topic, offer in offers.topics.items()}
    return Record({"participant": offers.participant.hex(), "topics": topics})


def from_record(payload: Any) -> Offers:
    """Return the offers that came over the wire.

    Raises:
        WireError: If it is something else.
    """
    if not isinstance(payload, Record):
        raise WireError(f"{OFFERS}: expected a record, got {type(payload).__name__}")
    topics = payload.fields.get("topics")
    if not isinstance(topics, dict) or len(topics) > _MOST:
        raise WireError(f"{OFFERS}: expected a map of topics, got {shown(topics)}")
    try:
        participant = bytes.fromhex(payload.fields.get("participant", ""))
    except (TypeError, ValueError) as error:
        raise WireError(f"{OFFERS}: expected hexadecimal digits as 'participant': {error}") from error
    return Offers(participant, {topic: _offer(fields) for topic, fields in topics.items()})


def _offer(fields: Any) -> Offer:
    if not isinstance(fields, dict):
        raise WireError(f"{OFFERS}: expected a map for each topic, got {shown(fields)}")
    texts = [fields.get(key) for key in ("type", "ros")]
    switches = [fields.get(key) for key in ("reliable", "latched")]
    depth = fields.get("depth")
    if not all(isinstance(text, str) and len(text) <= _LONGEST for text in texts):
        raise WireError(f"{OFFERS}: expected 'type' and 'ros' as text, got {shown(texts)}")
    if not all(isinstance(switch, bool) for switch in switches):
        raise WireError(
            f"{OFFERS}: expected true or false as 'reliable' and 'latched', got {shown(switches)}"
        )
    if type(depth) is not int or not 0 <= depth < 1 << 31:
        raise WireError(f"{OFFERS}: expected 'depth' from 0 to 2**31 - 1, got {shown(depth)}")
    return Offer(*texts, *switches, min(depth, MOST_LATCHED))  # type: ignore[arg-type]  # checked above
