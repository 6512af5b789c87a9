# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service is read in every notation, and offered so that every subscription is served."""

from __future__ import annotations

import pytest
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from lowlat_nodes.transport.bag import BagError, qos

PROFILE = Qos(
    QosHistory.KEEP_LAST, 5, QosReliability.BEST_EFFORT, QosDurability.VOLATILE,
    qos.INFINITE, qos.INFINITE, QosLiveliness.AUTOMATIC, qos.INFINITE, False,
)  # fmt: skip
RELIABLE = PROFILE._replace(reliability=QosReliability.RELIABLE, depth=1)
LATCHED = RELIABLE._replace(durability=QosDurability.TRANSIENT_LOCAL)

WORDS = {
    "history": "keep_last",
    "depth": 5,
    "reliability": "best_effort",
    "durability": "volatile",
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 9223372036, "nsec": 854775807},
    "liveliness": "automatic",
    "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}


def test_numbers_and_words_mean_the_same() -> None:
    assert qos.parse([WORDS]) == qos.parse(qos.dump([PROFILE])) == (PROFILE,)


def test_what_is_written_is_read_back() -> None:
    several = (PROFILE, RELIABLE, LATCHED)
    assert qos.parse(qos.dump(several)) == several


@pytest.mark.parametrize("nothing", ["", None, [], "[]"])
def test_a_bag_may_know_nothing(nothing: object) -> None:
    assert qos.parse(nothing) == ()


def test_policies_of_a_newer_ros_are_unknown() -> None:
    (found,) = qos.parse([WORDS | {"reliability": "telepathic", "durability": 77}])
    assert (found.reliability, found.durability) == (QosReliability.UNKNOWN, QosDurability.UNKNOWN)


@pytest.mark.parametrize(
    "wrong", [42, {"a": 1}, [42], [{}], "a: [", [WORDS | {"depth": "deep"}], [WORDS | {"deadline": 3}]]
)
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(BagError, match="offered_qos_profiles"):
        qos.parse(wrong)


@pytest.mark.parametrize(
    ("offers", "reliability", "durability"),
    [
        ([], QosReliability.RELIABLE, QosDurability.VOLATILE),
        ([PROFILE], QosReliability.BEST_EFFORT, QosDurability.VOLATILE),
        ([PROFILE, RELIABLE], QosReliability.RELIABLE, QosDurability.VOLATILE),
        ([PROFILE, LATCHED], QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL),
    ],
)
def test_the_common_offer_satisfies_whoever_was_satisfied(
    offers: list[Qos], reliability: QosReliability, durability: QosDurability
) -> None:
    offer = qos.offer(offers)
    assert (offer.reliability, offer.durability) == (reliability, durability)
    assert offer.depth == max((item.depth for item in offers), default=0)


def test_a_deadline_is_kept_where_all_agree() -> None:
    timed = PROFILE._replace(deadline=QosTime(0, 50_000_000))
    assert qos.offer([timed, timed]).deadline == QosTime(0, 50_000_000)
    assert qos.offer([timed, PROFILE]).deadline == qos.INFINITE


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (qos.INFINITE, None),
        (QosTime(0, 0), None),
        (QosTime(2147483647, 4294967295), None),
        (QosTime(1, 5), 1_000_000_005),
    ],
)
def test_no_limit_has_many_names(time: QosTime, expected: int | None) -> None:
    assert qos.limit_ns(time) == expected
