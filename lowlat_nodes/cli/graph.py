# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which processes a ROS parameter file stands for: one for each node that it names."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.nodes.parameter_file import ParameterFileError, Section, parameters_of, read
from lowlat_nodes.stream.config import build, group, setting
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

UP = "lowlat_up"
"""The section that is for `lowlat up` itself; no node has this name, so ROS passes over it."""

_ANY_NAMESPACE = "/**"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
# Parameters that rclpy declares on every node.
_OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides.")
_NODES = "lowlat_nodes.nodes."


@dataclass(frozen=True)
class NodeOptions:
    """How one node is started."""

    executable: str = setting(
        "",
        doc="An executable of this package, or a path from the file's folder; default: the node's name.",
    )
    remap: tuple[str, ...] = setting([], doc="Remapping rules such as image:=camera/image.")


@dataclass(frozen=True)
class UpSettings:
    """What the section `lowlat_up` may hold."""

    restart_limit: int = setting(5, low=0, high=1000, doc="A node that crashes more often is given up.")
    restart_window_s: float = setting(60.0, unit="s", low=1.0, high=86_400.0, doc="Over which crashes count.")
    stop_grace_s: float = setting(5.0, unit="s", low=0.1, high=600.0, doc="What a node has to stop in.")
    on_failure: str = setting(
        "keep", choices=("keep", "stop"), doc="Whether the others go on when a node is given up."
    )
    others: tuple[str, ...] = setting([], doc="Nodes of the file that are started elsewhere.")
    node: Mapping[str, NodeOptions] = group(NodeOptions, doc="How single nodes are started, by name.")


@dataclass(frozen=True)
class NodeProcess:
    """A node to start.

    Attributes:
        node: Its fully qualified name.
        executable: The name of its executable in this package, or a path.
        argv: The command to run.
        ours: Whether the executable is one of this package.
    """

    node: str
    executable: str
    argv: tuple[str, ...]
    ours: bool


@dataclass(frozen=True)
class Graph:
    """The nodes of one parameter file.

    Attributes:
        nodes: In the order of the file.
        settings: What the section `lowlat_up` says.
        sections: All sections of the file.
    """

    nodes: tuple[NodeProcess, ...]
    settings: UpSettings
    sections: tuple[Section, ...]

    def check(self) -> None:
        """Check the parameters of every node of this package as it would check them itself.

        Raises:
            ConfigurationError: For the first one that a node would refuse.
        """
        for process in self.nodes:
            if not process.ours:
                continue
            config = config_type(process.executable)
            values = {
                name: value
                for name, value in parameters_of(process.node, self.sections).items()
                if not name.startswith(_OF_ROS)
            }
            try:
                build(config, values).verify()
            except ConfigurationError as error:
                raise ConfigurationError(f"{process.node}: {error}") from error


def load(path: Path, *, namespace: str = "", only: Sequence[str] = ()) -> Graph:
    """Read a parameter file and find the executable of each node in it.

    A section `/**/name` is a node in `namespace`; a section `name` or `/robot/name` is a node in the
    namespace that it says. Sections with a pattern for a name only give parameters.

    Args:
        path: The file; it is also handed to each node.
        namespace: Where nodes of any namespace are started; empty for the root.
        only: Start these nodes, by name or fully qualified name; empty starts all.

    Raises:
        ParameterFileError: If the file is none, names no node, or does not fit the namespace.
        ConfigurationError: If a node has no executable, or `only` names no node.
    """
    sections = read(path)
    settings = build(UpSettings, parameters_of(f"/{UP}", [item for item in sections if item.name == UP]))
    names = _names(path, [item for item in sections if item.name != UP], "/" + namespace.strip("/"))
    here = {name: name.rpartition("/")[2] for name in names}
    for given in settings.node:
        if given not in here.values():
            hint = _suggest(given, here.values())
            raise ParameterFileError(f"{path}: {UP} has options for the node {given!r}; {hint}")
    processes = [
        _process(path, name, settings.node.get(base, NodeOptions()))
        for name, base in here.items()
        if base not in settings.others
    ]
    return Graph(tuple(_select(processes, only)), settings, tuple(sections))


def executables() -> dict[str, str]:
    """Return the node executables of this package and the module of each."""
    scripts = importlib.metadata.entry_points(group="console_scripts")
    return {item.name: item.module for item in scripts if item.module.startswith(_NODES)}


def config_type(executable: str) -> type:
    """Return the configuration class of a node of this package: the one that its module defines or imports.

    Raises:
        MissingExtra: If rclpy is not installed.
    """
    try:
        base = importlib.import_module("lowlat_nodes.nodes.base").NodeSettings
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error
    module = importlib.import_module(executables()[executable])
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, base)]
    [found] = {item for item in classes if item is not base}
    return found


def _names(path: Path, sections: Sequence[Section], namespace: str) -> list[str]:
    """Return the fully qualified names of the nodes that the sections name, each once."""
    names: dict[str, None] = {}
    for section in sections:
        if "*" in section.name:
            continue
        if not _NAME.match(section.name):
            raise ParameterFileError(
                f"{path}, line {section.line}: expected a name of letters, digits and _, got {section.name!r}"
            )
        if section.namespace == _ANY_NAMESPACE:
            names[f"{namespace.rstrip('/')}/{section.name}"] = None
        elif "*" not in section.namespace:
            if namespace not in {"/", section.namespace}:
                raise ParameterFileError(
                    f"{path}, line {section.line}: the section {section.pattern!r} is for the namespace "
                    f"{section.namespace!r} and would not reach a node in {namespace!r}; "
                    f"write '/**/{section.name}' to start it anywhere"
                )
            names[section.pattern] = None
    if not names:
        example = next(iter(executables()), "node")
        raise ParameterFileError(f"{path}: no section names a node; write '/**/{example}:' for '/**:'")
    return list(names)


def _process(path: Path, node: str, options: NodeOptions) -> NodeProcess:
    namespace, _, base = node.rpartition("/")
    executable = options.executable or base
    ours = executable in executables()
    if ours:
        # Only the main node is renamed: a process may make further nodes.
        program, default_name = _script(executable), f"{executable}:"
    elif "/" in executable:
        program, default_name = _program(path, node, executable), ""
    else:
        raise ConfigurationError(
            f"{path}: there is no executable {executable!r}; {_suggest(executable, executables())} "
            f"(parameters of {UP}: node.{base}.executable says what makes a node of another name, "
            "others lists nodes that are started elsewhere)"
        )
    rules = [f"__ns:={namespace or '/'}", *options.remap]
    if not (ours and executable == base):
        rules.append(f"{default_name}__node:={base}")
    remap = [word for rule in rules for word in ("-r", rule)]
    return NodeProcess(node, executable, (program, "--ros-args", *remap, "--params-file", str(path)), ours)


def _script(executable: str) -> str:
    """Return the path of an installed script.

    pip puts it beside the interpreter or on the PATH, colcon into a folder of its own in each prefix.
    """
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    folders = [
        str(Path(sys.argv[0]).resolve().parent),
        str(Path(sys.executable).parent),
        *(str(Path(prefix) / "lib" / "lowlat_nodes") for prefix in prefixes),
    ]
    found = shutil.which(executable, path=os.pathsep.join(folders)) or shutil.which(executable)
    if found is None:
        raise ConfigurationError(
            f"{executable!r} is not installed where it was looked for ({', '.join(folders)}, PATH); "
            "install this package again"
        )
    return found


def _program(path: Path, node: str, executable: str) -> str:
    program = path.resolve().parent / Path(executable).expanduser()
    if not os.access(program, os.X_OK) or program.is_dir():
        raise ConfigurationError(f"{path}: expected an executable program for {node!r}, got {program}")
    return str(program)


def _select(processes: Sequence[NodeProcess], only: Sequence[str]) -> list[NodeProcess]:
    wanted: set[str] = set()
    for name in only:
        found = {item.node for item in processes if name in {item.node, item.node.rpartition("/")[2]}}
        if not found:
            known = [item.node.rpartition("/")[2] for item in processes]
            raise ConfigurationError(f"--only {name}: there is no such node; {_suggest(name, known)}")
        wanted |= found
    return [process for process in processes if not only or process.node in wanted]


def _suggest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    nearest = difflib.get_close_matches(name, names, 1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"expected one of: {', '.join(names)}"
