# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Filters: which results also go to which topics, by an expression or a Python function of the user."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowlat_nodes.alerts.expression import condition
from lowlat_nodes.alerts.result import CHOICES, FIELDS
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Record

_FUNCTION = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)\Z")


@dataclass(frozen=True)
class FilterSettings:
    """A filter; its name is that of its group."""

    keep: str = setting(
        doc='What a result must be, such as p["SN Ia"] > 0.8 and detections >= 4, or a Python function of '
        "its fields that returns True or False, as module:function.",
        live=True,
    )
    topic: str = setting("", doc="Topic of what it keeps; empty for the name of the filter.")


class Filters:
    """Named filters over results.

    A filter that raises, or returns anything but True or False, is counted and reported, and keeps nothing of
    that result; the others are not affected. For one thread at a time, except that anybody may read counts.

    Args:
        settings: The filters by name.

    Attributes:
        names: Of the filters, in their order.
        kept: How many results each has kept, by its name.
        failures: How many results each has failed on, by its name.
        last_failure: Which filter failed on which result how, the newest; empty if none did.

    Raises:
        ConfigurationError: If an expression is wrong, or a function is not there or takes no single argument.
    """

    def __init__(self, settings: Mapping[str, FilterSettings]) -> None:
        self._functions = {name: _function(name, config.keep) for name, config in settings.items()}
        self.names = tuple(self._functions)
        self.kept = Counters()
        self.failures = Counters()
        self.last_failure = ""

    def keep(self, results: Sequence[Record]) -> dict[str, list[Record]]:
        """Return the results that each filter keeps, in their order, by its name."""
        return {name: self._keep(name, function, results) for name, function in self._functions.items()}

    def _keep(
        self, name: str, function: Callable[[dict[str, Any]], object], results: Sequence[Record]
    ) -> list[Record]:
        kept, failed = [], 0
        for result in results:
            try:
                verdict = function(result.fields)
                if verdict is not False and _truth(verdict):
                    kept.append(result)
            except Exception as error:  # noqa: PERF203 # whatever a user's function does
                failed += 1
                key = result.key.decode(errors="replace")
                self.last_failure = f"filter {name}: {key}: {type(error).__name__}: {error}"
        if kept:
            self.kept.add(name, len(kept))
        if failed:
            self.failures.add(name, failed)
        return kept


def _truth(verdict: object) -> bool:
    if not isinstance(verdict, bool | np.bool_):
        raise TypeError(f"expected True or False, got {verdict!r:.80}")
    return bool(verdict)


def _function(name: str, text: str) -> Callable[[dict[str, Any]], object]:
    try:
        match = _FUNCTION.match(text.strip())
        return _imported(*match.groups()) if match else condition(text, FIELDS, CHOICES)
    except ConfigurationError as error:
        raise ConfigurationError(f"filter {name!r}: {error}") from error


def _imported(module_name: str, name: str) -> Callable[[dict[str, Any]], object]:
    """Return a user's function.

    Raises:
        ConfigurationError: If it is not there, or cannot be called with one argument.
    """
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module runs as it is imported, and may raise anything
        raise ConfigurationError(
            f"cannot import {module_name}: {type(error).__name__}: {error}; a module of your own needs to be "
            f"installed, or in a folder that PYTHONPATH names"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value)]
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ConfigurationError(f"{module_name} has no function {name!r}{hint}")
    try:
        inspect.signature(function).bind({})
    except TypeError as error:
        raise ConfigurationError(f"{module_name}:{name} must take the fields of a result: {error}") from error
    except ValueError:  # built-in functions have no signature
        pass
    return function  # type: ignore[no-any-return]
