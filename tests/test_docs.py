# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the documentation promises: links that lead somewhere, commands that exist, pages of one shape."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from lowlat_nodes.cli import bench
from lowlat_nodes.cli.graph import executables
from lowlat_nodes.cli.main import COMMANDS
from lowlat_nodes.cli.subcommands import Subcommands
from lowlat_nodes.stream.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[1]

_FENCE = re.compile(r"^(`{3,}|~{3,})\s*(\w*)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_LINK = re.compile(r"!?\[(?:[^\]\\]|\\.)*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_SPAN = re.compile(r"`([^`]+)`")
_PROMPT = re.compile(r"^\w*\$\s+")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|workspace|home/\w+)/|/tmp/\w+")


@dataclass(frozen=True)
class Fence:
    """A fenced block of code."""

    language: str
    lines: tuple[str, ...]
    number: int

    def commands(self) -> Iterator[tuple[int, str]]:
        """Yield each command line of a shell without its prompt; where there are prompts, only those."""
        prompted = any(_PROMPT.match(line) for line in self.lines)
        number, lines = self.number, iter(self.lines)
        for first in lines:
            line, here = first, number
            number += 1
            while line.endswith("\\"):
                line = line[:-1] + next(lines, "")
                number += 1
            if not prompted or _PROMPT.match(line):
                yield here, _PROMPT.sub("", line.strip())


@dataclass(frozen=True)
class Page:
    """A page in Markdown."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _parts(self) -> tuple[list[tuple[int, str]], list[Fence]]:
        prose: list[tuple[int, str]] = []
        fences: list[Fence] = []
        inside: list[str] | None = None
        mark, language, begun = "", "", 0
        for number, line in enumerate(self.text.splitlines(), 1):
            fence = _FENCE.match(line)
            if inside is not None:
                if line.startswith(mark) and not line.strip(mark[0]).strip():
                    fences.append(Fence(language, tuple(inside), begun))
                    inside = None
                else:
                    inside.append(line)
            elif fence:
                mark, language = fence.groups()
                inside, begun = [], number + 1
            else:
                prose.append((number, line))
        assert inside is None, f"{self.name}: the block that begins before line {begun} has no end"
        return prose, fences

    @property
    def prose(self) -> list[tuple[int, str]]:
        """The lines outside of fenced blocks, with their numbers."""
        return self._parts[0]

    @property
    def fences(self) -> list[Fence]:
        return self._parts[1]

    @cached_property
    def headings(self) -> list[str]:
        return [found[1] for _, line in self.prose if (found := _HEADING.match(line))]

    @cached_property
    def anchors(self) -> set[str]:
        """The names under which a forge lets one link to each heading."""
        seen: Counter[str] = Counter()
        names = set()
        for heading in self.headings:
            name = anchor(heading)
            names.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
        return names

    def links(self) -> Iterator[tuple[int, str]]:
        for number, line in self.prose:
            # What stands between backticks is no link.
            for target in _LINK.findall(_SPAN.sub(lambda span: "x" * len(span[0]), line)):
                yield number, target


def anchor(heading: str) -> str:
    """Return GitHub's anchor of a heading: lower case, hyphens for spaces, punctuation gone."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def _pages() -> list[Page]:
    found = [ROOT / "README.md"]
    for folder in ("docs", "models", "examples"):
        found += sorted((ROOT / folder).rglob("*.md"))
    return [Page(path) for path in found]


PAGES = _pages()
BENCHMARKS = bench.benchmarks()
BY_PATH = {page.path: page for page in PAGES}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
each_node = pytest.mark.parametrize("node", sorted(executables()))


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("`lowlat bench ros`: images between two processes", "lowlat-bench-ros-images-between-two-processes"),
        ("The paper's 18x and 8x", "the-papers-18x-and-8x"),
        ("[Two](two.md) machines", "two-machines"),
        ("a_b - c", "a_b---c"),
    ],
)
def test_anchors_are_those_of_the_forge(heading: str, expected: str) -> None:
    assert anchor(heading) == expected


@each_page
def test_links_lead_somewhere(page: Page) -> None:
    broken = []
    for number, target in page.links():
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        path = Path(os.path.normpath(page.path.parent / name)) if name else page.path
        other = BY_PATH.get(path)
        if not path.exists() or not path.is_relative_to(ROOT):
            broken.append(f"line {number}: {target}: there is no such file")
        elif fragment and other and fragment not in other.anchors:
            broken.append(
                f"line {number}: {target}: there is no such heading; there are {sorted(other.anchors)}"
            )
    assert not broken, "\n".join(broken)


def test_images_are_shown_somewhere() -> None:
    shown = {
        Path(os.path.normpath(page.path.parent / target)) for page in PAGES for _, target in page.links()
    }
    files = {path for path in (ROOT / "docs").rglob("*") if path.is_file() and path.suffix != ".md"}
    assert not files - shown


def test_every_page_can_be_found_from_the_index() -> None:
    index = BY_PATH[ROOT / "docs" / "README.md"]
    linked = {
        Path(os.path.normpath(index.path.parent / target.partition("#")[0])) for _, target in index.links()
    }
    assert {page.path for page in PAGES if page.path.parent == ROOT / "docs"} - linked - {index.path} == set()


@each_page
def test_no_path_of_the_machine_that_it_was_written_on(page: Page) -> None:
    found = [line for line in page.text.splitlines() if _MACHINE_PATH.search(line)]
    assert not found


# Commands


class _Parsed(Exception):
    """A command line was understood; nothing of the command was run."""


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> list[argparse.ArgumentParser]:
    """Have commands stop once their arguments are parsed; the list gets each parser that was asked."""
    asked: list[argparse.ArgumentParser] = []
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: object) -> None:
        asked.append(parser)
        parse(parser, *given)  # type: ignore[call-overload]
        raise _Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(bench, "benchmarks", lambda: BENCHMARKS)  # which reads all of them
    return asked


def _nested(name: str) -> Subcommands | None:
    """Return the subcommands of a subcommand, None where it takes arguments at once."""
    if name == "bench":
        return BENCHMARKS
    members = vars(importlib.import_module(COMMANDS.table[name].module)).values()
    return next((each for each in members if isinstance(each, Subcommands)), None)


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    return list(lexer)


def _lowlat_commands(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each `lowlat` of a shell line."""
    if not re.search(r"\blowlat\s", line):
        return
    words = _words(line)
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if Path(word).name == "lowlat" and (not before or set(before) <= set("|&;") or before == "sudo"):
            rest = words[place + 1 :]
            end = next((i for i, each in enumerate(rest) if set(each) <= set("|&;<>")), len(rest))
            yield rest[:end]


@each_page
def test_commands_in_blocks_are_understood(
    page: Page, parsers: list[argparse.ArgumentParser], capsys: pytest.CaptureFixture[str]
) -> None:
    refused = []
    for fence in page.fences:
        if fence.language not in {"", "bash", "sh", "console"}:
            continue
        for number, line in fence.commands():
            for arguments in _lowlat_commands(line):
                try:
                    code: object = COMMANDS.run(arguments)
                except _Parsed:
                    continue
                except SystemExit as end:
                    code = end.code
                if code != 0 or (set(arguments) & {"bench", "-h", "--help"} == set()):
                    refused.append(f"line {number}: {line}\n  {capsys.readouterr().err.strip()}")
    assert not refused, "\n".join(refused)


def _options(parser: argparse.ArgumentParser) -> set[str]:
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                found |= _options(each)
    return found


@each_page
def test_commands_in_the_text_have_the_options_that_are_named(
    page: Page, parsers: list[argparse.ArgumentParser], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    for number, line in page.prose:
        for span in _SPAN.findall(line):
            words = span.split()
            if words[:1] != ["lowlat"] or len(words) < 2 or not re.fullmatch(r"[a-z]\w*", words[1]):
                continue
            if words[1] not in COMMANDS.table:
                wrong.append(f"line {number}: `{span}`: there is no such command")
                continue
            arguments, nested = [words[1]], _nested(words[1])
            if nested is not None:
                if len(words) < 3 or not re.fullmatch(r"[a-z]\w*", words[2]):
                    continue
                if words[2] not in nested.table:
                    wrong.append(f"line {number}: `{span}`: there is no such subcommand")
                    continue
                arguments.append(words[2])
            named = {word.split("=")[0].rstrip(".,;:") for word in words[2:] if word.startswith("-")}
            if not named:
                continue
            # Alerts are replayed by a parser of their own, which is chosen by this option.
            extra = ["--to", "x"] if "--to" in words else []
            parsers.clear()
            with pytest.raises((_Parsed, SystemExit)):
                COMMANDS.run([*arguments, *extra])
            if unknown := named - _options(parsers[0]) - {"-"}:
                wrong.append(f"line {number}: `{span}`: there is no {', '.join(sorted(unknown))}")
    capsys.readouterr()
    assert not wrong, "\n".join(wrong)


ELSEWHERE = {
    "--cap-add", "--dataset.video", "--group-add", "--ipc", "--network", "--params-file", "--pid",
    "--ros-args", "--save", "--shm-size", "--show-args", "--ulimit", "--user",
}  # fmt: skip
"""Options of docker, ROS, LeRobot, FINK's client and the like."""


@pytest.fixture
def all_options(parsers: list[argparse.ArgumentParser], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options of all commands together."""
    for name in COMMANDS.table:
        nested = _nested(name)
        for words in [[name, each] for each in nested.table] if nested else [[name], [name, "--to", "x"]]:
            with contextlib.suppress(_Parsed, SystemExit):
                COMMANDS.run(words)
    capsys.readouterr()
    return set().union(*map(_options, parsers))


def test_options_in_the_text_are_those_of_some_command(all_options: set[str]) -> None:
    unknown = [
        f"{page.name}, line {number}: {option}"
        for page in PAGES
        for number, line in page.prose
        for span in _SPAN.findall(line)
        if span.startswith("--")
        for option in re.findall(r"(?:^|\s)(--[a-z][\w.-]*)", span)
        if option not in all_options | ELSEWHERE
    ]
    assert not unknown, "\n".join(unknown)


def test_each_command_stands_in_the_readme() -> None:
    spans = {span for _, line in BY_PATH[ROOT / "README.md"].prose for span in _SPAN.findall(line)}
    named = {words[1] for span in spans if len(words := span.split()) > 1 and words[0] == "lowlat"}
    assert set(COMMANDS.table) - named == set()


def test_each_benchmark_stands_in_the_index() -> None:
    text = BY_PATH[ROOT / "docs" / "README.md"].text
    assert [name for name in BENCHMARKS.table if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", BENCHMARKS.table)
def test_each_benchmark_has_a_page_of_the_common_shape(name: str) -> None:
    page = BY_PATH.get(ROOT / "docs" / f"bench_{name}.md")
    if page is None:  # then it is explained with what it measures
        assert any(f"`lowlat bench {name}" in page.text for page in PAGES)
        return
    assert page.headings[0].startswith(f"`lowlat bench {name}`: ")
    starts = [line.lstrip("#* ") for _, line in page.prose if line.startswith(("#", "**"))]
    missing = [
        part
        for part in ("Question", "Method", "Figure", "Caveat")
        if not any(line.startswith(part) for line in starts)
    ]
    assert missing == []


@each_page
def test_python_is_python_and_launch_files_are_there(page: Page) -> None:
    for fence in page.fences:
        if fence.language == "python":
            compile("\n".join(fence.lines), f"{page.name}, line {fence.number}", "exec", ast.PyCF_ONLY_AST)
    named = set(re.findall(r"\b\w+\.launch\.py\b", page.text))
    assert named <= {path.name for path in (ROOT / "launch").iterdir()}


# Parameter files


def _complaint(file: Path) -> str:
    try:
        code = COMMANDS.run(["up", str(file), "--check"])
    except ConfigurationError as error:
        return str(error)
    return f"exit code {code}" if code else ""


@pytest.mark.ros
@each_page
def test_parameter_files_are_what_the_nodes_take(page: Page, tmp_path: Path) -> None:
    program = tmp_path / "my_camera.py"  # a node of the reader's own
    program.write_text("#!/usr/bin/env python3\n", encoding="utf-8")
    program.chmod(0o755)
    for fence in page.fences:
        text = "\n".join(fence.lines)
        if fence.language != "yaml" or "ros__parameters" not in text or "..." in text:
            continue
        file = tmp_path / "parameters.yaml"
        file.write_text(text, encoding="utf-8")
        complaint = _complaint(file)
        # What is shown may be a part, or be about a package of the reader's.
        partly = any(words in complaint for words in ("must be given", "there is no processor"))
        assert not complaint or partly, f"{page.name}, line {fence.number}: {complaint}"


# Pages of nodes

SECTIONS = ("Try it", "Topics", "Services", "When something goes wrong", "Diagnostics", "Parameters")
"""What every page of a node has, in this order; it may have more in between."""


def _section(page: Page, title: str) -> Sequence[str]:
    """Return the lines of a section, its subsections included."""
    lines: list[str] = []
    inside = False
    for _, line in page.prose:
        if line.startswith("## "):
            inside = line == f"## {title}"
        elif inside:
            lines.append(line)
    return lines


def _rows(lines: Sequence[str]) -> list[list[str]]:
    tables = [line.strip().strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in tables]


@each_node
def test_each_node_has_a_page_of_the_common_shape(node: str) -> None:
    page = BY_PATH.get(ROOT / "docs" / f"{node}.md")
    assert page is not None, f"docs/{node}.md is missing"
    assert page.headings[0].startswith(f"`{node}`: ")
    found = [heading for heading in page.headings if heading in SECTIONS]
    assert found == list(SECTIONS)
    topics = _rows(_section(page, "Topics"))
    assert topics[0][:3] == ["topic", "type", "QoS"]
    faults = _rows(_section(page, "When something goes wrong"))
    assert [len(row) for row in faults] == [3] * len(faults)
    assert faults[0] == ["event", "what the node does", "what you see"]


@each_node
def test_each_node_stands_in_the_readme_and_the_index(node: str) -> None:
    for path, link in (
        (ROOT / "README.md", f"(docs/{node}.md)"),
        (ROOT / "docs" / "README.md", f"({node}.md)"),
    ):
        assert link in BY_PATH[path].text
