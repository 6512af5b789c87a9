# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What was seen of cameras, arms and alerts, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.stream.payload import CompressedImage, Detections, Floats, Image


@dataclass(frozen=True, eq=False)
class Frame:
    """An image of a camera, and what a detector found in it.

    Attributes:
        sequence: Rises with each frame of a camera.
        stamp_ns: When it was captured, by the clock of the sender.
        frame_id: Of its header.
        image: As it came.
        sent_ns: When its publisher handed it over, steady time of this host.
        detections: What was found in it or in an earlier frame; None where nothing came from a detector.
        detections_stamp_ns: When the frame was captured in which they were found.
    """

    sequence: int
    stamp_ns: int
    frame_id: str
    image: Image | CompressedImage
    sent_ns: int
    detections: Detections | None = None
    detections_stamp_ns: int = 0


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera.

    Attributes:
        index: Its number while its topic is there.
        topic: Where its images come from.
        detector: The node that looks at it, empty without one.
        frame: The newest one, None before the first.
        trouble: Why images cannot be shown, empty while they can.
    """

    index: int
    topic: str
    detector: str
    frame: Frame | None
    trouble: str


@dataclass(frozen=True, eq=False)
class Arm:
    """Joints, as one topic of joint states has them.

    Attributes:
        topic: Of the joint states.
        names: Of the joints.
        positions: float64 [joints], rad or m.
        commands: The newest command in the same order; None where nobody knows one.
        outline: float64 [points, 3], m: the joints from base to tip, in the frame of the base; None without a
            description of the robot.
        sent_ns: When the joint states were handed over, steady time of this host.
    """

    topic: str
    names: Sequence[str]
    positions: Floats
    commands: Floats | None
    outline: Floats | None
    sent_ns: int


@dataclass(frozen=True, eq=False)
class Alert:
    """A classified alert.

    Attributes:
        node: Who classified it.
        fields: As docs/alert_results.md has them, and its light curve where that was told.
    """

    node: str
    fields: dict[str, Any]
