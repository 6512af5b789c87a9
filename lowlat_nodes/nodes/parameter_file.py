# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameter files, read as rcl reads them, with messages that say which line is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from lowlat_nodes.stream.errors import ConfigurationError

Scalar = bool | int | float | str
Value = Scalar | list[Scalar]

PARAMETERS = "ros__parameters"

_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
# What strtol takes whole with base 0, and what strtod does; YAML 1.1 has other ideas of 1e3, 1_000 and 1:30.
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_QUOTED = re.compile(r"""(["'])([^"']*)\1\Z""")
_NOT_FINITE = re.compile(r"([+-]?)(\.?inf|infinity|\.?nan)\Z", re.IGNORECASE)


class ParameterFileError(ConfigurationError):
    """The file is no ROS parameter file."""


@dataclass(frozen=True)
class Section:
    """The parameters of every node that a pattern matches.

    Attributes:
        pattern: Absolute name; `*` stands for one token and `**` for any number of them.
        line: Where its parameters begin.
        parameters: Flat, with dotted names.
    """

    pattern: str
    line: int
    parameters: Mapping[str, Value]

    def matches(self, node: str) -> bool:
        """Tell whether a node of this fully qualified name gets these parameters."""
        tokens = {"*": r"/[^/]+", "**": r"(/[^/]+)*"}
        parts = self.pattern.strip("/").split("/")
        expression = "".join(tokens.get(part, "/" + re.escape(part)) for part in parts)
        return re.fullmatch(expression, node) is not None

    @property
    def namespace(self) -> str:
        """Return the pattern of the namespace, such as `/`, `/robot` or `/**`."""
        return self.pattern.rpartition("/")[0] or "/"

    @property
    def name(self) -> str:
        """Return the pattern of the name without its namespace."""
        return self.pattern.rpartition("/")[2]


def parameters_of(node: str, sections: Sequence[Section]) -> dict[str, Value]:
    """Return what a node of this fully qualified name gets: all sections that match, the later one wins."""
    merged: dict[str, Value] = {}
    for section in sections:
        if section.matches(node):
            merged |= section.parameters
    return merged


def require_node(path: Path, node: str) -> None:
    """Refuse a file that says nothing about a node of this fully qualified name.

    ROS passes over such a file, and one that is missing, and starts the node with its defaults.

    Raises:
        ParameterFileError: If no section matches, or as `read` does; says which sections there are.
    """
    sections = read(path)
    if not any(section.matches(node) for section in sections):
        there = ", ".join(dict.fromkeys(section.pattern for section in sections))
        raise ParameterFileError(
            f"{path}: expected a section for {node}, got {there}; "
            f"name the node there, as '/**/{node.rpartition('/')[2]}' to have it in any namespace"
        )


def read(path: Path) -> list[Section]:
    """Read a parameter file.

    Types are those that rcl gives: `1e3` is a float, `2026-01-01` a string, and so on.

    Raises:
        ParameterFileError: If the file cannot be read or rcl would refuse it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterFileError(f"expected a ROS parameter file, got {path}: {error}") from error
    return _Reader(str(path)).sections(text)


class _Reader:
    """Reads one text; knows the file's name for its messages."""

    def __init__(self, file: str) -> None:
        self._file = file

    def sections(self, text: str) -> list[Section]:
        try:
            for event in yaml.parse(text):
                if isinstance(event, yaml.AliasEvent):
                    self._refuse(event, f"the alias *{event.anchor}: ROS does not support aliases")
            documents = list(yaml.compose_all(text))
        except yaml.YAMLError as error:
            raise ParameterFileError(f"{self._file}: {error}") from error
        found = [section for document in documents for section in self._nodes(document, "")]
        if not found:
            raise ParameterFileError(f"{self._file}: expected `node_name:` with `{PARAMETERS}:` below it")
        return found

    def _nodes(self, node: yaml.Node, namespace: str) -> Iterator[Section]:
        if not isinstance(node, yaml.MappingNode) or (not node.value and namespace):
            self._refuse(node, f"no `{PARAMETERS}:` below {namespace or 'a node name'!r}")
        for key, value in node.value:
            name = self._key(key)
            if name != PARAMETERS:
                yield from self._nodes(value, f"{namespace}/{name.strip('/')}")
            elif not namespace:
                self._refuse(key, f"`{PARAMETERS}:` without the name of a node above it")
            elif not isinstance(value, yaml.MappingNode):
                self._refuse(value, f"{value.value!r}, expected parameters of {namespace!r}")
            else:
                yield Section(namespace, _line(key), dict(self._parameters(value, "")))

    def _parameters(self, node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, Value]]:
        for key, value in node.value:
            name = prefix + self._key(key)
            if isinstance(value, yaml.MappingNode):
                if not value.value:
                    self._refuse(value, f"no parameters in {name!r}: leave it out")
                yield from self._parameters(value, f"{name}.")
            elif isinstance(value, yaml.SequenceNode):
                yield name, self._array(name, value)
            else:
                yield name, self._scalar(name, value)

    def _array(self, name: str, node: yaml.SequenceNode) -> list[Scalar]:
        values = [self._scalar(name, item) for item in node.value]
        for item, value in zip(node.value, values, strict=True):
            if type(value) is not type(values[0]):
                self._refuse(
                    item,
                    f"{value!r} in the array {name!r}: expected {type(values[0]).__name__} like its first "
                    "value (ROS arrays hold one type; write 1.0 for a float)",
                )
        return values

    def _scalar(self, name: str, node: yaml.Node) -> Scalar:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, f"{name!r}: expected one level of values in an array")
        if node.style is not None:  # quoted or a block
            return str(node.value)
        if not node.value:
            self._refuse(node, f'{name!r} without a value (an empty string is written "")')
        return plain(node.value)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "a key that is no name")
        return str(node.value)

    def _refuse(self, where: yaml.Node | yaml.Event, what: str) -> NoReturn:
        raise ParameterFileError(f"{self._file}, line {_line(where)}: got {what}")


def _line(where: yaml.Node | yaml.Event) -> int:
    return where.start_mark.line + 1 if where.start_mark else 0


def value(text: str) -> Value:
    """Return a value as `name:=value` on a command line has it: a scalar, or a list in brackets.

    What is in quotes is text. No text in a list has a comma in it.
    """
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(item.strip()) for item in text[1:-1].split(",") if item.strip()]
    return _scalar(text)


def _scalar(text: str) -> Scalar:
    quoted = _QUOTED.match(text)
    return quoted[2] if quoted else plain(text)


def plain(text: str) -> Scalar:
    """Return the value of an unquoted scalar in the type that rcl gives it."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.match(text):
        value = int(text, 16) if "x" in text.lower() else int(text, 8 if text.lstrip("+-")[0] == "0" else 10)
        if -(1 << 63) <= value < 1 << 63:
            return value
        return float(value)
    if _FLOAT.match(text) and math.isfinite(float(text)):
        return float(text)
    if special := _NOT_FINITE.match(text):
        sign, word = special.groups()
        return math.nan if word.lower().endswith("nan") else float(f"{sign}inf")
    return text
