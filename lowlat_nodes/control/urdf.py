# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Joint limits from a robot description (URDF)."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar
from xml.etree import ElementTree as ET

from lowlat_nodes.control.limits import JointLimits
from lowlat_nodes.stream.errors import ConfigurationError

# Descriptions of humanoids take about 1 MB; meshes are files of their own.
_LARGEST_FILE = 32 << 20
_MOVING = ("revolute", "prismatic", "continuous")

L = TypeVar("L", bound=JointLimits)


@dataclass(frozen=True)
class UrdfJoint:
    """The limits of one joint: rad and rad/s, or m and m/s; inf where there is none."""

    lower: float
    upper: float
    velocity: float


def read_joints(urdf: str | bytes, joints: Sequence[str]) -> list[UrdfJoint]:
    """Return the limits of some joints, in their order.

    Continuous joints have no range; that a joint mimics another one changes nothing.

    Raises:
        ConfigurationError: If it is no URDF, or a joint is missing, cannot move, or has no sensible limits.
    """
    root = read_robot(urdf)
    elements: dict[str, ET.Element] = {}
    for element in root.findall("joint"):
        name = element.get("name", "")
        if name in elements:
            raise ConfigurationError(f"expected distinct joints, got two of the name {name!r}")
        elements[name] = element
    for name in joints:
        if name not in elements:
            nearest = difflib.get_close_matches(name, elements, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has: {', '.join(elements) or 'none'}"
            raise ConfigurationError(f"there is no joint {name!r}; {hint}")
    return [_joint(name, elements[name]) for name in joints]


def read_robot(urdf: str | bytes) -> ET.Element:
    """Return the root of a URDF; document type declarations are refused, and with them all entities.

    Raises:
        ConfigurationError: If it is none.
    """
    try:
        root = ET.fromstring(urdf, parser=ET.XMLParser(target=_Builder()))  # noqa: S314
    except (ET.ParseError, ValueError) as error:  # ValueError: a str that declares an encoding
        raise ConfigurationError(f"expected the XML of a URDF: {error}") from error
    if root.tag != "robot":
        raise ConfigurationError(f"expected a URDF, whose root is <robot>, got <{root.tag}>")
    return root


def limits_from_urdf(path: Path, joints: Sequence[str], given: L) -> L:
    """Return limits with the positions and velocities of a URDF file where none are given.

    Args:
        path: The URDF file, after xacro.
        joints: Joint names in the order of the limits.
        given: These limits stand where they are not empty. A URDF has none for accelerations.

    Raises:
        ConfigurationError: If the file cannot be read, or as `read_joints`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read the URDF: {error}") from error
    if len(text) > _LARGEST_FILE:
        raise ConfigurationError(f"URDF {path}: expected at most {_LARGEST_FILE} bytes")
    try:
        found = read_joints(text, joints)
    except ConfigurationError as error:
        raise ConfigurationError(f"URDF {path}: {error}") from error
    return dataclasses.replace(
        given,
        lower=given.lower or tuple(joint.lower for joint in found),
        upper=given.upper or tuple(joint.upper for joint in found),
        velocity=given.velocity or tuple(joint.velocity for joint in found),
    )


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002
        raise ConfigurationError("expected no document type declaration (<!DOCTYPE ...>) in a URDF")


def _joint(name: str, element: ET.Element) -> UrdfJoint:
    kind = element.get("type")
    if kind not in _MOVING:
        raise ConfigurationError(f"joint {name!r}: expected type {', '.join(_MOVING)}, got {kind!r}")
    limit = element.find("limit")
    if kind == "continuous":
        velocity = math.inf if limit is None else _number(name, limit, "velocity", math.inf)
        return UrdfJoint(-math.inf, math.inf, _speed(name, velocity))
    if limit is None:
        raise ConfigurationError(f"joint {name!r}: a {kind} joint needs a <limit>")
    # The specification gives both ends of the range the default 0.
    lower, upper = _number(name, limit, "lower", 0.0), _number(name, limit, "upper", 0.0)
    if lower >= upper:
        raise ConfigurationError(f"joint {name!r}: expected lower below upper, got {lower:g} and {upper:g}")
    return UrdfJoint(lower, upper, _speed(name, _number(name, limit, "velocity", None)))


def _number(name: str, limit: ET.Element, attribute: str, default: float | None) -> float:
    text = limit.get(attribute)
    if text is None:
        if default is None:
            raise ConfigurationError(f"joint {name!r}: its <limit> needs {attribute!r}")
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = "; run xacro on it first" if "$" in text else ""
        raise ConfigurationError(
            f"joint {name!r}: expected a number for {attribute!r}, got {text!r:.80}{hint}"
        )
    return value


def _speed(name: str, velocity: float) -> float:
    if velocity <= 0.0:
        raise ConfigurationError(f"joint {name!r}: expected a velocity limit above 0, got {velocity:g}")
    return velocity
