# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of one node, from a ROS parameter file and the command line, without ROS."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.nodes import parameter_file
from lowlat_nodes.stream.errors import ConfigurationError

# What a node declares of itself and no processor knows.
_OF_THE_NODE = {"use_sim_time", "autostart", "start_type_description_service", "publish"}
_GUARD = "energy.guard."
# Of processor_node: what its processor is told, and what that is connected to.
_ITS, _STREAMS = "parameters.", ("inputs.", "outputs.")
_GROUPS_OF_THE_NODE = ("qos_overrides.", "diagnostic_updater.", "energy.")


def read_parameters(
    name: str,
    file: Path | None,
    node: str | None,
    given: Sequence[tuple[str, str]],
    *,
    default: str = "",
    guarded: bool = False,
) -> dict[str, Any]:
    """Return the parameters from a file, then those of the command line, flat.

    Of a section for processor_node they are those below `parameters`: what the processor itself is told.

    Args:
        name: Name of the processor; its section is that, or that with `_node`.
        file: ROS parameter file, or the name of one that ships.
        node: Whose section to take instead.
        given: Names and values as the command line has them; they replace those of the file.
        default: Name of the file of config/ to take where none is given; empty for none.
        guarded: Whether the processor is guarded as in the node, and takes its `energy.guard` parameters.

    Raises:
        ConfigurationError: If the file cannot be read, or has no such node.
    """
    if file is None and default:
        file = resources.path("config", default)
        print(f"parameters: {file}", file=sys.stderr, flush=True)
    found = _section(name, file, node)
    if _hosts(found):
        found = {key[len(_ITS) :]: value for key, value in found.items() if key.startswith(_ITS)}
    values = {key: parameter_file.value(text) for key, text in given}
    return {
        key: value
        for key, value in {**found, **values}.items()
        if not _of_the_node(key) or (guarded and key.startswith(_GUARD))
    }


def read_topics(name: str, file: Path | None, node: str | None) -> dict[str, str]:
    """Return the topic of each input, by its name in parameters, as a section for processor_node gives it.

    Args:
        name: As for `read_parameters`.
        file: Likewise.
        node: Likewise.
    """
    found = _section(name, file, node)
    names = {key: key.split(".") for key in found} if _hosts(found) else {}
    return {
        parts[1]: str(found[key])
        for key, parts in names.items()
        if len(parts) == 3 and (parts[0], parts[2]) == ("inputs", "topic") and found[key]
    }


def _section(name: str, file: Path | None, node: str | None) -> dict[str, Any]:
    if file is not None:
        if not file.exists() and file.name == str(file):
            with contextlib.suppress(resources.ResourceError):  # reading the file says what is wrong
                file = resources.path("config", file.name)
        sections = parameter_file.read(file)
        candidates = [node] if node else [name, f"{name}_node"]
        named = [each for each in candidates if any(section.name == each for section in sections)]
        if node and not named:
            raise ConfigurationError(f"{file}: expected parameters of a node {node!r}")
        return dict(parameter_file.parameters_of(f"/{(named or candidates)[0]}", sections))
    return {}


def plain_name(processor: str) -> str:
    """Return the name of a processor as a node would have it."""
    return processor.rpartition(":")[2].removeprefix("make_")


def _hosts(parameters: Mapping[str, Any]) -> bool:
    return "processor" in parameters and any(name.startswith(_STREAMS) for name in parameters)


def _of_the_node(name: str) -> bool:
    return name in _OF_THE_NODE or name.startswith(_GROUPS_OF_THE_NODE)
