# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service between rclpy and bags."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import TypeVar

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from lowlat_nodes.transport.bag import qos

E = TypeVar("E", bound=Enum)

_DEPTH = 10
_LATCHED_DEPTH = 100  # bags rarely know it; enough for the static transforms of a robot
_S = 1_000_000_000


def offered(profile: QoSProfile) -> Qos:
    """Return what a publisher offers, as a bag keeps it."""
    return Qos(
        _policy(QosHistory, profile.history),
        profile.depth,
        _policy(QosReliability, profile.reliability),
        _policy(QosDurability, profile.durability),
        _time(profile.deadline),
        _time(profile.lifespan),
        _policy(QosLiveliness, profile.liveliness),
        _time(profile.liveliness_lease_duration),
        profile.avoid_ros_namespace_conventions,
    )


def to_publish(profiles: Sequence[Qos]) -> QoSProfile:
    """Return the profile to publish a recorded topic with: what all its publishers together offered."""
    offer = qos.offer(profiles)
    latched = offer.durability is QosDurability.TRANSIENT_LOCAL
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=offer.depth or (_LATCHED_DEPTH if latched else _DEPTH),
        reliability=ReliabilityPolicy(offer.reliability.value),
        durability=DurabilityPolicy(offer.durability.value),
    )
    if offer.liveliness in (QosLiveliness.AUTOMATIC, QosLiveliness.MANUAL_BY_TOPIC):
        profile.liveliness = LivelinessPolicy(offer.liveliness.value)
    for name in ("deadline", "lifespan", "liveliness_lease_duration"):
        limit_ns = qos.limit_ns(getattr(offer, name))
        if limit_ns is not None:
            setattr(profile, name, Duration(nanoseconds=limit_ns))
    return profile


def to_record(profiles: Sequence[QoSProfile], depth: int) -> QoSProfile:
    """Return the most demanding profile that is compatible with all of these publishers.

    Without any, reliable: drivers are (REP-2003), and who offers less is noticed when it turns up.
    """
    lossy = any(profile.reliability == ReliabilityPolicy.BEST_EFFORT for profile in profiles)
    latched = bool(profiles) and all(
        profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles
    )
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT if lossy else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def compatible(request: QoSProfile, profiles: Sequence[QoSProfile]) -> bool:
    """Return whether a subscription with this request hears all of these publishers."""
    reliable = request.reliability == ReliabilityPolicy.RELIABLE
    latched = request.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return not any(
        (reliable and profile.reliability == ReliabilityPolicy.BEST_EFFORT)
        or (latched and profile.durability == DurabilityPolicy.VOLATILE)
        for profile in profiles
    )


def _policy(kind: type[E], policy: IntEnum) -> E:
    return kind(policy.value)


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, _S))
