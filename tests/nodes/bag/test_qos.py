# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service survives the way through a bag, and every publisher is heard."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.ros

if pytest.importorskip("rclpy", reason="rclpy is not installed (extra: ros)"):
    from rclpy.duration import Duration
    from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

    from lowlat_nodes.nodes.bag.qos import compatible, offered, to_publish, to_record


def profile(**policies: Any) -> QoSProfile:
    return QoSProfile(**{"depth": 3, **policies})


LOSSY = {"reliability": ReliabilityPolicy.BEST_EFFORT}
LATCHED = {"durability": DurabilityPolicy.TRANSIENT_LOCAL}


@pytest.mark.parametrize(
    "policies",
    [
        {},
        LOSSY,
        LATCHED,
        {
            "deadline": Duration(nanoseconds=20_000_000),
            "lifespan": Duration(seconds=2),
            "liveliness": LivelinessPolicy.MANUAL_BY_TOPIC,
            "liveliness_lease_duration": Duration(seconds=3, nanoseconds=1),
        },
    ],
)
def test_what_was_offered_is_offered_again(policies: dict[str, Any]) -> None:
    original = profile(**policies)
    again = to_publish([offered(original)])
    for name in ("depth", "reliability", "durability", "deadline", "lifespan", "liveliness_lease_duration"):
        if name in policies or name == "depth":
            assert getattr(again, name) == getattr(original, name), name
    assert again.reliability == original.reliability


def test_an_unknown_depth_becomes_one_that_loses_nothing() -> None:
    assert to_publish([]).depth == 10
    assert to_publish([offered(profile(**LATCHED))._replace(depth=0)]).depth == 100


@pytest.mark.parametrize(
    ("publishers", "reliability", "durability"),
    [
        ([], ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        ([{}], ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        ([{}, LOSSY], ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
        ([LATCHED], ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
        ([LATCHED, {}], ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
    ],
)
def test_a_recording_asks_for_the_most_that_all_offer(
    publishers: list[dict[str, Any]], reliability: ReliabilityPolicy, durability: DurabilityPolicy
) -> None:
    profiles = [profile(**policies) for policies in publishers]
    request = to_record(profiles, 100)
    assert (request.reliability, request.durability, request.depth) == (reliability, durability, 100)
    assert compatible(request, profiles)


def test_what_is_asked_must_be_offered_by_all() -> None:
    demanding = to_record([profile(**LATCHED)], 100)
    assert compatible(demanding, [profile(**LATCHED)])
    assert not compatible(demanding, [profile(**LATCHED), profile()])
    assert not compatible(demanding, [profile(**LATCHED, **LOSSY)])
