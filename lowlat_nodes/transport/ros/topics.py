# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics a node reads and writes, and with which quality of service."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError

# Samples of these come often and the next one is as good, and each fits into one datagram.
_SMALL_AND_PERIODIC = frozenset({"sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"})


@dataclass(frozen=True, kw_only=True)
class Input:
    """A topic that a node reads."""

    topic: str = setting(doc="Topic name; relative names follow the node's namespace and remappings.")
    type_name: str = setting(doc="Message type such as sensor_msgs/msg/Image.")
    reliability: str = setting(
        "auto",
        choices=("auto", "reliable", "best_effort"),
        doc="auto: reliable for images and events whose publishers all offer it, otherwise best effort.",
    )
    depth: int = setting(1, low=1, high=1000, doc="How many messages the middleware keeps for this node.")
    max_age_ms: float = setting(
        0.0, unit="ms", low=0.0, high=3_600_000.0, doc="Messages older than this are dropped; 0 keeps all."
    )


@dataclass(frozen=True, kw_only=True)
class Output:
    """A topic that a node writes."""

    topic: str = setting(doc="Topic name; relative names follow the node's namespace and remappings.")
    type_name: str = setting(doc="Message type such as sensor_msgs/msg/Image.")
    reliability: str = setting("reliable", choices=("reliable", "best_effort"), doc="What is offered.")
    depth: int = setting(1, low=1, high=1000, doc="How many messages the middleware keeps for slow readers.")
    latched: bool = setting(
        False, doc="Whether readers that come later get the last message (transient local)."
    )
    on_demand: bool = setting(
        False, doc="Whether nothing is written while nobody listens, for large messages."
    )


def message_type(type_name: str) -> Any:
    """Return the class of a ROS message.

    Args:
        type_name: As in `sensor_msgs/msg/Image`.

    Raises:
        ConfigurationError: If no such message is installed.
    """
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"expected an installed message type such as sensor_msgs/msg/Image, got {type_name!r} ({error})"
            f"{_remedy(package)}"
        ) from error


def _remedy(package: str) -> str:
    """Return how to install a package of messages; nothing for what is no name of one."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package):
        return ""
    distribution = os.environ.get("ROS_DISTRO")
    if distribution:
        return f"; install it with: sudo apt install ros-{distribution}-{package.replace('_', '-')}"
    if package == "vision_msgs":
        return "; beside ROS from wheels, build it with: lowlat interfaces"
    return f"; install it with: pip install ros-jazzy-{package.replace('_', '-')}"


def choose_reliability(
    wanted: str, type_name: str, offered: Sequence[ReliabilityPolicy]
) -> ReliabilityPolicy:
    """Return the reliability to subscribe with.

    Reliable readers hear nothing from best-effort writers. Best-effort readers hear everybody, but lose
    images that are larger than the writer's shared-memory segment (512 kB by default) and may lose a one-off
    text. REP-2003 has drivers offer reliable topics, so `auto` asks for that until a publisher turns up that
    does not offer it.

    Args:
        wanted: auto, reliable or best_effort.
        type_name: The message type.
        offered: What the publishers known so far offer.
    """
    if wanted == "auto":
        lossy = ReliabilityPolicy.BEST_EFFORT in offered or type_name in _SMALL_AND_PERIODIC
        return ReliabilityPolicy.BEST_EFFORT if lossy else ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.RELIABLE if wanted == "reliable" else ReliabilityPolicy.BEST_EFFORT


def profile(depth: int, reliability: ReliabilityPolicy, *, latched: bool = False) -> QoSProfile:
    """Return a KEEP_LAST profile."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def overridable(*, reliability: bool = True, durability: bool = True) -> QoSOverridingOptions:
    """Let users override the profile of an endpoint through `qos_overrides.<topic>.*` parameters.

    Args:
        reliability: Whether that policy is among them. It must not be where we choose it while running,
            because the declared parameter would fix the first choice.
        durability: The same for that policy; it must not be where two subscriptions differ in it.
    """
    kinds = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
    chosen = ((QoSPolicyKind.RELIABILITY, reliability), (QoSPolicyKind.DURABILITY, durability))
    return QoSOverridingOptions(kinds + [kind for kind, free in chosen if free])
