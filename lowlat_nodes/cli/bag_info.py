# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is in a bag, and how far the clocks of those who published it were from that of the recorder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lowlat_nodes.cli.printable import printable
from lowlat_nodes.transport.bag import BagReader
from lowlat_nodes.transport.bag.clock_offset import ClockOffset

ROS = "ROS"


def describe(bag: BagReader) -> dict[str, Any]:
    """Read a bag to its end and return what is in it, as `lowlat replay --info --json` prints it."""
    sources = {topic.name: topic.endpoint or ROS for topic in bag.topics}
    offsets = {source: ClockOffset() for source in sources.values()}
    first_ns = last_ns = 0
    for recorded in bag.messages():
        first_ns, last_ns = first_ns or recorded.stamp_ns, recorded.stamp_ns
        if recorded.published_ns != recorded.stamp_ns:  # the same: nothing but the receipt was known
            source = sources.get(recorded.topic, ROS)
            offsets.setdefault(source, ClockOffset()).add(recorded.stamp_ns, recorded.published_ns)
    return {
        "messages": sum(bag.read.values()),
        "start_ns": first_ns,
        "seconds": round((last_ns - first_ns) / 1e9, 3),
        "topics": {
            topic.name: {
                "type": topic.type,
                "messages": bag.read.get(topic.name, 0),
                "endpoint": topic.endpoint,
            }
            for topic in bag.topics
        },
        "clock_offset": {source: offset.as_json() for source, offset in offsets.items()},
    }


def show_description(report: Mapping[str, Any]) -> None:
    """Print what `describe` returned."""
    width = max(map(len, report["topics"]), default=0)
    kinds = max((len(topic["type"]) for topic in report["topics"].values()), default=0)
    for name, topic in report["topics"].items():
        endpoint = f"  {topic['endpoint']}" if topic["endpoint"] else ""
        line = f"{name:<{width}}  {topic['type']:<{kinds}}  {topic['messages']:>8} messages{endpoint}"
        print(printable(line))
    for source, offset in report["clock_offset"].items():
        show_offset(source, offset)
    print(f"{report['messages']} messages in {report['seconds']} s")


def show_offset(source: str, offset: Mapping[str, Any]) -> None:
    """Print how far a clock is away, if that is known."""
    if offset["messages"]:
        least_ms, median_ms = offset["least_ms"], offset["median_ms"]
        print(
            f"{printable(source)}: received {least_ms} ms after its stamps at least, {median_ms} ms typically"
        )
