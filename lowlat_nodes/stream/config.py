# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Typed settings: dataclasses whose fields are also ROS parameters with descriptions and ranges.

A configuration is a frozen dataclass; each field is made with `setting` and given by keyword. Nested
dataclasses become dotted parameter names, and a field of type `Mapping[str, Dataclass]` becomes one group of
parameters per name::

    @dataclass(frozen=True)
    class Camera:
        topic: str = setting("image", doc="Image topic.")

    @dataclass(frozen=True)
    class Observation:
        tick_hz: float = setting(100.0, doc="Rate.", unit="Hz", low=1.0, high=1000.0)
        camera: Mapping[str, Camera] = group(Camera, doc="One group per camera.")

    build(Observation, {"tick_hz": 500, "camera.front.topic": "front/image"})

A field made with `untyped` takes what is given below its name, for somebody else: whatever it is, or what
fits a configuration class that the other values tell.

Values may come flat with dotted names, nested, or mixed. Whatever does not fit raises `ConfigurationError`
that says where, what was expected and what came; an unknown name suggests the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from lowlat_nodes.stream.errors import ConfigurationError

T = TypeVar("T")

_SCALARS: tuple[type, ...] = (bool, int, float, str)
_GROUP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Setting:
    """One flat parameter, as a ROS node declares it.

    Attributes:
        name: Dotted name.
        kind: bool, int, float or str; the type of the elements where `many`; object for any of these.
        many: Whether it is an array.
        default: The default, or None where a value must be given.
        doc: One sentence for users.
        unit: Unit of the value, empty if it has none.
        low: Smallest allowed value, None if there is no limit.
        high: Largest allowed value, None if there is no limit.
        choices: The allowed words, empty if any are.
        live: Whether it may change while the node is active.
    """

    name: str
    kind: type
    many: bool
    default: Any
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def describe(self) -> str:
        """Return what a value must be, for messages and parameter descriptors."""
        words = ("any" if self.kind is object else self.kind.__name__) + ("[]" if self.many else "")
        if self.choices:
            words += f", one of: {', '.join(choice or repr(choice) for choice in self.choices)}"
        if self.low is not None and self.high is not None:
            words += f" from {self.low:g} to {self.high:g}"
        elif self.low is not None:
            words += f" of at least {self.low:g}"
        elif self.high is not None:
            words += f" of at most {self.high:g}"
        return f"{words} {self.unit}".rstrip()

    def convert(self, value: Any) -> Any:
        """Return the value in this setting's type (tuples for arrays).

        Raises:
            ConfigurationError: If it is of another type or out of range.
        """
        if not self.many:
            return self._convert_one(value)
        items = _plain(value)
        if isinstance(items, (str, bytes)) or not isinstance(items, Sequence):
            self._refuse(value)
        return tuple(map(self._convert_one, items))

    def _convert_one(self, given: Any) -> Any:
        value = _plain(given)
        if self.kind is float and type(value) is int and abs(value) <= sys.float_info.max:
            value = float(value)
        exact = type(value) is self.kind  # bool is an int to isinstance, and not to us
        if not exact:
            self._refuse(value)
        if self.kind is float and not math.isfinite(value):
            self._refuse(value)
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            self._refuse(value)
        if self.choices and value not in self.choices:
            nearest = difflib.get_close_matches(str(value), self.choices, 1)
            self._refuse(value, f"; did you mean {nearest[0]!r}?" if nearest else "")
        return value

    def _refuse(self, value: Any, hint: str = "") -> typing.NoReturn:
        raise ConfigurationError(
            f"parameter {self.name!r}: expected {self.describe()}, got {value!r}{hint} ({self.doc})"
        )


def setting(
    default: Any = dataclasses.MISSING,
    *,
    doc: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    live: bool = False,
) -> Any:
    """Make a dataclass field that is also a parameter; without a default a value must be given."""
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": tuple(choices), "live": live}
    if isinstance(default, list):
        default = tuple(default)
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


def section(config: type[T], *, doc: str) -> Any:
    """Make a field that holds a nested configuration, its defaults unless values are given."""
    return dataclasses.field(default_factory=config, metadata={"doc": doc}, kw_only=True)


def group(config: type[T], *, doc: str) -> Any:
    """Make a field that holds one nested configuration per name, none unless values are given."""
    return dataclasses.field(
        default_factory=lambda: MappingProxyType({}), metadata={"doc": doc, "group": config}, kw_only=True
    )


def untyped(*, doc: str, typed_by: Callable[[Mapping[str, Any]], type | None] | None = None) -> Any:
    """Make a field of type `Mapping[str, Any]` that holds whatever is given below its name, flat.

    Args:
        doc: One sentence for users.
        typed_by: Returns, of all values, flat, the configuration class that those below the name must fit;
            None where nobody knows one.
    """
    return dataclasses.field(
        default_factory=lambda: MappingProxyType({}),
        metadata={"doc": doc, "untyped": typed_by or (lambda _flat: None)},
        kw_only=True,
    )


def settings(config: type, values: Mapping[str, Any] | None = None, *, template: str = "") -> list[Setting]:
    """List the flat parameters of a configuration class.

    Args:
        config: A dataclass whose fields were made with `setting`, `section` or `group`.
        values: The given values; they tell the names of groups.
        template: If given, every group is listed once, under this name: for documentation.
    """
    return list(_walk(config, flatten(values or {}), "", template))


def build(config: type[T], values: Mapping[str, Any]) -> T:
    """Make a configuration from values, flat or nested.

    Raises:
        ConfigurationError: For an unknown name, a missing or wrong value, or whatever the class's own
            `__post_init__` refuses.
    """
    flat = flatten(values)
    known = {item.name: item for item in _walk(config, flat, "")}
    for name in flat:
        if name not in known:
            raise ConfigurationError(_unknown(name, known))
    converted = {name: known[name].convert(value) for name, value in flat.items()}
    made: T = _make(config, converted, "")
    return made


def to_flat(config: Any) -> dict[str, Any]:
    """Return a configuration as flat parameters, lists for arrays: the reverse of `build`."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if "group" in field.metadata:
            for name, member in value.items():
                flat |= {f"{field.name}.{name}.{key}": item for key, item in to_flat(member).items()}
        elif "untyped" in field.metadata:
            flat |= {f"{field.name}.{key}": item for key, item in value.items()}
        elif dataclasses.is_dataclass(value):
            flat |= {f"{field.name}.{key}": item for key, item in to_flat(value).items()}
        else:
            flat[field.name] = list(value) if isinstance(value, tuple) else value
    return flat


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


@functools.cache
def _hints(config: type) -> dict[str, Any]:
    return typing.get_type_hints(config)


def _walk(config: type, flat: Mapping[str, Any], prefix: str, template: str = "") -> Iterator[Setting]:
    hints = _hints(config)
    for field in dataclasses.fields(config):
        name, hint = prefix + field.name, hints[field.name]
        if "group" in field.metadata:
            for member in [template] if template else _members(flat, name):
                yield from _walk(field.metadata["group"], flat, f"{name}.{member}.", template)
        elif "untyped" in field.metadata:
            typed = None if template else field.metadata["untyped"](flat)
            if template:
                yield Setting(f"{name}.{template}", object, False, (), field.metadata["doc"])
            elif typed is not None:
                yield from _walk(typed, flat, f"{name}.")
            else:
                for key in _below(flat, name):
                    yield _as_given(f"{name}.{key}", flat[f"{name}.{key}"], field.metadata["doc"])
        elif dataclasses.is_dataclass(hint):
            yield from _walk(typing.cast(type, hint), flat, f"{name}.", template)
        else:
            many = typing.get_origin(hint) is tuple
            kind = typing.get_args(hint)[0] if many else hint
            if kind not in _SCALARS:
                raise TypeError(f"{config.__name__}.{field.name}: {hint} cannot be a parameter")
            default = None if field.default is dataclasses.MISSING else field.default
            yield Setting(name, kind, many, default, **field.metadata)


def _below(flat: Mapping[str, Any], name: str) -> list[str]:
    return [key[len(name) + 1 :] for key in flat if key.startswith(f"{name}.")]


def _as_given(name: str, value: Any, doc: str) -> Setting:
    """Return the setting of an untyped value: of the type that it has."""
    plain = _plain(value)
    many = plain is None or (isinstance(plain, Sequence) and not isinstance(plain, str | bytes))
    # An empty array, which is None where ROS gave it no type, is one of any.
    kind = type(next(iter(plain or ()), "")) if many else type(plain)
    if kind not in _SCALARS:
        raise ConfigurationError(
            f"parameter {name!r}: expected bool, int, float, str or an array of one, got {value!r}"
        )
    return Setting(name, kind, many, None, doc)


def _members(flat: Mapping[str, Any], name: str) -> list[str]:
    members = dict.fromkeys(key.split(".")[0] for key in _below(flat, name))
    for member in members:
        if not _GROUP_NAME.match(member):
            raise ConfigurationError(f"{name!r}: expected a name of letters, digits and _, got {member!r}")
    return list(members)


def _make(config: type, flat: Mapping[str, Any], prefix: str) -> Any:
    arguments: dict[str, Any] = {}
    hints = _hints(config)
    for field in dataclasses.fields(config):
        name, hint = prefix + field.name, hints[field.name]
        if "group" in field.metadata:
            kind = field.metadata["group"]
            members = {member: _make(kind, flat, f"{name}.{member}.") for member in _members(flat, name)}
            arguments[field.name] = MappingProxyType(members)
        elif "untyped" in field.metadata:
            given = {key: flat[f"{name}.{key}"] for key in _below(flat, name)}
            arguments[field.name] = MappingProxyType(
                {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
            )
        elif dataclasses.is_dataclass(hint):
            arguments[field.name] = _make(typing.cast(type, hint), flat, f"{name}.")
        elif name in flat:
            arguments[field.name] = flat[name]
        elif field.default is dataclasses.MISSING:
            raise ConfigurationError(f"parameter {name!r} must be given: {field.metadata['doc']}")
    return config(**arguments)


def _unknown(name: str, known: Mapping[str, Setting]) -> str:
    nearest = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
    return f"there is no parameter {name!r}; {hint}"


def _plain(value: Any) -> Any:
    """Return scalars of NumPy as such of Python, and its arrays and those of the module array as lists."""
    return value.tolist() if hasattr(value, "tolist") else value
