# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the joints of a robot are in space: forward kinematics of one chain of a robot description (URDF)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.urdf import read_robot
from lowlat_nodes.stream.errors import ConfigurationError

_TURNING = frozenset({"revolute", "continuous"})
_SLIDING = "prismatic"
_MOST_JOINTS = 1000  # of a humanoid with hands there are about 100
_IDENTITY = np.eye(4)


@dataclass(frozen=True, eq=False)
class _Joint:
    """One joint.

    Attributes:
        name: Of the joint.
        kind: Its type.
        child: The link that it carries.
        origin: float64 [4, 4], from the frame of its parent.
        axis: float64 [3], of length 1, in its own frame.
        leader: The joint that it mimics; itself unless it does.
        multiplier: Of the leader's position.
        offset: Added to that.
    """

    name: str
    kind: str
    child: str
    origin: NDArray[np.float64]
    axis: NDArray[np.float64]
    leader: str
    multiplier: float
    offset: float

    def pose(self, position: float) -> NDArray[np.float64]:
        """Return float64 [4, 4], from the frame of its parent to that of its child, at a position."""
        if self.kind in _TURNING:
            return self.origin @ _turn(self.axis, position)
        if self.kind == _SLIDING:
            moved = _IDENTITY.copy()
            moved[:3, 3] = self.axis * position
            return np.asarray(self.origin @ moved)
        return self.origin


class Chain:
    """The longest way from the base of a robot to one of its tips: by joints that move, then by all joints.

    A robot with several arms has its longest one here.

    Args:
        joints: From the base to the tip.
    """

    def __init__(self, joints: Iterable[_Joint]) -> None:
        self._joints = tuple(joints)
        self._leaders = frozenset(joint.leader for joint in self._joints if _moves(joint))

    @classmethod
    def of(cls, urdf: str | bytes) -> Chain:
        """Return the chain of a URDF, after xacro.

        Raises:
            ConfigurationError: If it is no URDF, or its joints make no tree.
        """
        elements = read_robot(urdf).findall("joint")
        if len(elements) > _MOST_JOINTS:
            raise ConfigurationError(f"expected at most {_MOST_JOINTS} joints, got {len(elements)}")
        below: dict[str, list[_Joint]] = {}
        children: set[str] = set()
        for element in elements:
            joint = _joint(element)
            if joint.child in children:
                raise ConfigurationError(f"expected one joint that carries link {joint.child!r}, got two")
            children.add(joint.child)
            below.setdefault(_link(element, "parent"), []).append(joint)
        longest: list[_Joint] = []
        for base in below.keys() - children:
            longest = max(longest, _longest(base, below), key=_length)
        return cls(longest)

    def moves(self, names: Iterable[str]) -> int:
        """Return how many of some joints move this chain."""
        return len(self._leaders.intersection(names))

    def outline(self, positions: Mapping[str, float]) -> NDArray[np.float64]:
        """Return where its joints are: float64 [points, 3], m, in the frame of the base, which comes first.

        Args:
            positions: Of joints by name, rad or m; of those that are missing, 0.
        """
        pose, points = _IDENTITY, [_IDENTITY[:3, 3]]
        for joint in self._joints:
            position = positions.get(joint.leader, 0.0)
            pose = pose @ joint.pose(joint.multiplier * position + joint.offset)
            if not np.array_equal(pose[:3, 3], points[-1]):
                points.append(pose[:3, 3])
        return np.array(points)


def _moves(joint: _Joint) -> bool:
    return joint.kind in _TURNING or joint.kind == _SLIDING


def _length(chain: list[_Joint]) -> tuple[int, int]:
    return sum(map(_moves, chain)), len(chain)


def _longest(base: str, below: Mapping[str, list[_Joint]]) -> list[_Joint]:
    """Return the longest chain from a link; without recursion, whatever a description says."""
    best: list[_Joint] = []
    waiting: list[list[_Joint]] = [[joint] for joint in below[base]]
    while waiting:
        chain = waiting.pop()
        best = max(best, chain, key=_length)
        waiting += [[*chain, joint] for joint in below.get(chain[-1].child, ())]
    return best


def _joint(element: ET.Element) -> _Joint:
    name = element.get("name", "")
    origin, axis, mimic = element.find("origin"), element.find("axis"), element.find("mimic")
    pose = _IDENTITY.copy()
    if origin is not None:
        pose = _rotation(_triple(name, origin, "rpy", (0.0, 0.0, 0.0)))
        pose[:3, 3] = _triple(name, origin, "xyz", (0.0, 0.0, 0.0))
    along = np.array((1.0, 0.0, 0.0) if axis is None else _triple(name, axis, "xyz", (1.0, 0.0, 0.0)))
    length = float(np.linalg.norm(along))
    return _Joint(
        name,
        element.get("type", ""),
        _link(element, "child"),
        pose,
        along / length if length else along,
        name if mimic is None else mimic.get("joint", name),
        1.0 if mimic is None else _number(name, mimic.get("multiplier", "1")),
        0.0 if mimic is None else _number(name, mimic.get("offset", "0")),
    )


def _link(element: ET.Element, what: str) -> str:
    found = element.find(what)
    link = None if found is None else found.get("link")
    if not link:
        raise ConfigurationError(f"joint {element.get('name')!r}: expected a <{what} link=...>")
    return link


def _triple(
    name: str, element: ET.Element, attribute: str, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    text = element.get(attribute)
    if text is None:
        return default
    numbers = [_number(name, word) for word in text.split()]
    if len(numbers) != 3:
        raise ConfigurationError(
            f"joint {name!r}: expected three numbers for {attribute!r}, got {text!r:.80}"
        )
    return numbers[0], numbers[1], numbers[2]


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigurationError(f"joint {name!r}: expected a number, got {text!r:.80}")
    return value


def _rotation(rpy: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return float64 [4, 4]: roll, pitch and yaw about the fixed axes x, y and z, in this order."""
    roll, pitch, yaw = (_turn(axis, angle) for axis, angle in zip(np.eye(3), rpy, strict=True))
    return np.asarray(yaw @ pitch @ roll)


def _turn(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return float64 [4, 4]: a turn about an axis through the origin, by Rodrigues' formula."""
    x, y, z = axis.tolist()
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned = np.eye(4)
    turned[:3, :3] += math.sin(angle) * cross + (1.0 - math.cos(angle)) * (cross @ cross)
    return turned
