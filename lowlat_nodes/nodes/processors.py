# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processors by name: those of this package, and what other packages register.

A package registers one with an entry point of the group `lowlat_nodes.processors`, which names a factory: a
callable that takes the parameters, flat with dotted names, and returns a `Processor`, such as a
`ProcessorFactory`::

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

from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.factory import ProcessorFactory
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.throttle import Throttle, ThrottleConfig

Factory = Callable[[Mapping[str, Any]], Processor]

GROUP = "lowlat_nodes.processors"

BUILT_IN = {
    "detector": "lowlat_nodes.nodes.processors:make_detector",
    "policy": "lowlat_nodes.nodes.processors:make_policy",
    "throttle": "lowlat_nodes.nodes.processors:make_throttle",
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


make_throttle = ProcessorFactory(ThrottleConfig, Throttle)
"""Makes a `Throttle` of its parameters."""


def parameter_name(stream: str) -> str:
    """Return the name of a stream as parameters have it: `nearest` for `~/nearest`, `a_b` for `a/b`."""
    return stream.removeprefix("~").strip("/").replace("/", "_")


def names() -> dict[str, str]:
    """Return where the factory of each registered processor is; ours come first and cannot be replaced."""
    registered = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    return {**BUILT_IN, **{name: value for name, value in registered.items() if name not in BUILT_IN}}


def config_type(name: str) -> type | None:
    """Return the configuration class whose settings are the parameters of a processor.

    Args:
        name: As for `make`.

    Returns:
        The class; None where the factory does not tell, or there is no such processor.

    Raises:
        ConfigurationError: If its factory cannot be imported.
    """
    where = names().get(name, name)
    return getattr(_factory(where), "config_type", None) if ":" in where else None


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
    factory = _factory(known.get(name, name))
    try:
        processor = factory(parameters)
    except Exception as error:  # whatever a factory of the user does
        reason = str(error) if isinstance(error, LowlatError) else f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"processor {name!r}: {reason}") from error
    if not isinstance(processor, Processor):
        raise ConfigurationError(f"{name}: expected its factory to make a Processor, got {processor!r}")
    return processor


def _factory(where: str) -> Factory:
    module, _, attribute = where.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module runs as it is imported, and may raise anything
        raise ConfigurationError(
            f"expected a factory at {where!r} (module:function): {type(error).__name__}: {error}; a "
            "module of your own needs to be installed, or in a folder that PYTHONPATH names"
        ) from error
    return factory
