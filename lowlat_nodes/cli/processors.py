# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processors by name: those of this package, and what other packages register.

A package registers one with an entry point of the group `lowlat_nodes.processors`, which names a factory: a
callable that takes the parameters, flat with dotted names, and returns a `Processor`::

    entry_points={"lowlat_nodes.processors": ["brake_check = my_robot.checks:make_brake_check"]}

Without that, `module:factory` is a name too.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.throttle import Throttle, ThrottleConfig

Factory = Callable[[Mapping[str, Any]], Processor]

GROUP = "lowlat_nodes.processors"

BUILT_IN = {
    "detector": "lowlat_nodes.cli.processors:make_detector",
    "policy": "lowlat_nodes.cli.processors:make_policy",
    "throttle": "lowlat_nodes.cli.processors:make_throttle",
}

PARAMETER_FILES = {"detector": "detector.yaml", "policy": "policy.yaml"}
"""What a processor takes from config/ where the user gives no file; the launch files do the same."""


def make_detector(parameters: Mapping[str, Any]) -> Processor:
    """Make the detector of the detector node from its parameters, and say what runs it."""
    from lowlat_nodes.vision import offline

    detector = offline.make_detector(parameters)
    backend = detector.backend
    threads = f"{backend.threads} thread{'s' if backend.threads > 1 else ''}"
    print(
        f"detector: runs with {backend.kind}, {threads}, without calibration, which may choose differently "
        "each time; -p backend.kind:=KIND takes another",
        file=sys.stderr,
        flush=True,
    )
    return detector


def make_policy(parameters: Mapping[str, Any]) -> Processor:
    """Make the control loop of the policy node from its parameters; the policy may be elsewhere."""
    from lowlat_nodes.control import offline
    from lowlat_nodes.transport.policy.connect import connect
    from lowlat_nodes.transport.policy.process_client import ProcessClient

    return offline.make_policy(parameters, connect, ProcessClient)


def make_throttle(parameters: Mapping[str, Any]) -> Throttle:
    """Make a `Throttle` from its parameters."""
    return Throttle(build(ThrottleConfig, parameters))


def names() -> dict[str, str]:
    """Return where the factory of each registered processor is; ours come first and cannot be replaced."""
    registered = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    return {**BUILT_IN, **{name: value for name, value in registered.items() if name not in BUILT_IN}}


def make(name: str, parameters: Mapping[str, Any]) -> Processor:
    """Make a processor.

    Args:
        name: A registered name, or `module:factory`.
        parameters: Flat, with dotted names.

    Raises:
        ConfigurationError: If there is no such processor, or it refuses the parameters.
    """
    known = names()
    if name not in known and ":" not in name:
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}, or module:factory"
        raise ConfigurationError(f"there is no processor {name!r}; {hint}")
    processor = _factory(known.get(name, name))(parameters)
    if not isinstance(processor, Processor):
        raise ConfigurationError(f"{name}: expected its factory to make a Processor, got {processor!r}")
    return processor


def _factory(where: str) -> Factory:
    module, _, attribute = where.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"expected a factory at {where!r} (module:function): {error}") from error
    return factory
