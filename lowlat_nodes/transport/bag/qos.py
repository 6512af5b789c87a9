# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality-of-service profiles as bags keep them.

Bags up to version 8 hold them as YAML text with numbers, later ones as YAML mappings with words; both are
read. Numbers are written, because every released `ros2 bag` understands them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, TypeVar

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from lowlat_nodes.transport.bag import yamltext
from lowlat_nodes.transport.bag.errors import BagError

INFINITE = QosTime(9223372036, 854775807)
"""RMW_DURATION_INFINITE: no deadline, no end of life."""

# What middlewares wrote for "infinite" before that value was agreed on; 0 means "not specified".
_NO_LIMIT = {(0, 0), (0x7FFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFFF), tuple(INFINITE)}

E = TypeVar("E", bound=Enum)


def parse(profiles: object) -> tuple[Qos, ...]:
    """Read the `offered_qos_profiles` of a topic.

    Args:
        profiles: YAML text, or what such text was loaded to; empty or None where nothing was kept.

    Raises:
        BagError: If it is something else.
    """
    if isinstance(profiles, str):
        profiles = yamltext.load(profiles, "offered_qos_profiles")
    if not profiles:
        return ()
    if not isinstance(profiles, list):
        raise BagError(f"offered_qos_profiles: expected a list, got {type(profiles).__name__}")
    try:
        return tuple(_profile(item) for item in profiles)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BagError(
            f"offered_qos_profiles: expected profiles with all policies: {type(error).__name__}: {error}"
        ) from error


def dump(profiles: Iterable[Qos]) -> str:
    """Write profiles as bags of version 8 hold them, the reverse of `parse`."""
    mappings = [
        {
            "history": profile.history.value,
            "depth": profile.depth,
            "reliability": profile.reliability.value,
            "durability": profile.durability.value,
            "deadline": _time(profile.deadline),
            "lifespan": _time(profile.lifespan),
            "liveliness": profile.liveliness.value,
            "liveliness_lease_duration": _time(profile.liveliness_lease_duration),
            "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
        }
        for profile in profiles
    ]
    return str(yaml.safe_dump(mappings, sort_keys=False)).strip() if mappings else ""


def offer(profiles: Sequence[Qos]) -> Qos:
    """Return one offer that every subscription accepts which accepted all of these.

    Reliable satisfies who asks for best effort, and transient local who asks for volatile. The other policies
    are kept where all publishers agreed on them. Without profiles: reliable and volatile, the ROS default.
    """
    reliable = not profiles or any(item.reliability is QosReliability.RELIABLE for item in profiles)
    latched = any(item.durability is QosDurability.TRANSIENT_LOCAL for item in profiles)
    timing = {
        (item.deadline, item.lifespan, item.liveliness, item.liveliness_lease_duration) for item in profiles
    }
    unlimited = (INFINITE, INFINITE, QosLiveliness.AUTOMATIC, INFINITE)
    deadline, lifespan, liveliness, lease = timing.pop() if len(timing) == 1 else unlimited
    return Qos(
        QosHistory.KEEP_LAST,
        max((item.depth for item in profiles), default=0),
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline,
        lifespan,
        liveliness,
        lease,
        False,
    )


def limit_ns(time: QosTime) -> int | None:
    """Return a duration, None where there is no limit."""
    return None if tuple(time) in _NO_LIMIT else time.sec * 1_000_000_000 + time.nsec


def _profile(item: Any) -> Qos:
    return Qos(
        _policy(QosHistory, item["history"]),
        int(item["depth"]),
        _policy(QosReliability, item["reliability"]),
        _policy(QosDurability, item["durability"]),
        _duration(item["deadline"]),
        _duration(item["lifespan"]),
        _policy(QosLiveliness, item["liveliness"]),
        _duration(item["liveliness_lease_duration"]),
        bool(item["avoid_ros_namespace_conventions"]),
    )


def _policy(kind: type[E], value: object) -> E:
    # A newer ROS may have policies that we do not know: the file is none the worse for them.
    if isinstance(value, str):
        return kind.__members__.get(value.upper(), kind["UNKNOWN"])
    return kind(value) if any(value == member.value for member in kind) else kind["UNKNOWN"]


def _duration(item: Any) -> QosTime:
    return QosTime(int(item["sec"]), int(item["nsec"]))


def _time(time: QosTime) -> dict[str, int]:
    return {"sec": time.sec, "nsec": time.nsec}
