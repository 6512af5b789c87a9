# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What other packages register with this one by entry points, loaded in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lowlat_nodes.cli.doctor.examination import Answer, Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem

_PREFIX = "lowlat_nodes."
_LONGEST_S = 10.0


@dataclass(frozen=True)
class Plugin:
    """One entry point.

    Attributes:
        group: Such as `lowlat_nodes.processors`.
        name: What users call it.
        value: Its module and attribute.
        package: The distribution that registers it.
        error: Why it does not load; empty where it does.
    """

    group: str
    name: str
    value: str
    package: str
    error: str = ""


def check(examination: Examination) -> Iterator[Finding]:
    """Load them all in a child: code of others may print, hang or end the process."""
    registered = list(plugins())
    if not registered:
        yield note("plugins", "No other package registers any.")
        return
    answer = examination.ask([sys.executable, "-m", __name__], _LONGEST_S)
    yield from judge(registered, answer)


def judge(registered: list[Plugin], answer: Answer) -> Iterator[Finding]:
    """Return how each plugin fared.

    Args:
        registered: Those that there are, in the order in which they were loaded.
        answer: What the child said: a line of JSON for each that it was done with.
    """
    done = [Plugin(**json.loads(line)) for line in answer.out.splitlines() if line.startswith('{"group"')]
    for plugin in done:
        about = plugin.name
        if plugin.error:
            yield problem(
                about,
                f"{plugin.value} of {plugin.package or 'a package'} does not load: {plugin.error}.",
                f"{sys.executable} -c 'import {plugin.value.partition(':')[0]}'",
                group=plugin.group,
            )
        else:
            yield ok(about, f"{plugin.value} loads ({plugin.group}).", group=plugin.group)
    for plugin in registered[len(done) : len(done) + 1]:
        yield problem(
            plugin.name,
            f"Loading {plugin.value} ended or held up the process: {answer.reason}.",
            f"{sys.executable} -c 'import {plugin.value.partition(':')[0]}'",
            group=plugin.group,
        )


def plugins() -> Iterator[Plugin]:
    """Yield what is registered in a group of ours."""
    for entry, package in _entries():
        yield Plugin(entry.group, entry.name, entry.value, package)


def _entries() -> Iterator[tuple[importlib.metadata.EntryPoint, str]]:
    seen = set()
    for distribution in importlib.metadata.distributions():
        for entry in distribution.entry_points:
            if entry.group.startswith(_PREFIX) and (entry.group, entry.name) not in seen:
                seen.add((entry.group, entry.name))  # a second copy further along the path is not used
                yield entry, distribution.metadata["Name"]


def _load() -> None:
    """Load each, and print how that went."""
    for entry, package in _entries():
        error = ""
        try:
            entry.load()
        except Exception as caught:  # it is code of others, and this is the question
            error = f"{type(caught).__name__}: {caught}"
        print(json.dumps(asdict(Plugin(entry.group, entry.name, entry.value, package, error))), flush=True)


if __name__ == "__main__":
    _load()
