# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Subcommands are found by name, imported when they run, and suggested when the name is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lowlat_nodes.cli.subcommands import EXIT_USAGE, Subcommand, Subcommands


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subcommands:
    (tmp_path / "lowlat_echo.py").write_text("def main(argv):\n    print(*argv)\n    return len(argv)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield Subcommands(
        "tool",
        {"echo": Subcommand("lowlat_echo", "print"), "gone": Subcommand("lowlat_gone", "is not there")},
    )
    sys.modules.pop("lowlat_echo", None)


def test_the_rest_of_the_line_goes_to_the_subcommand(
    commands: Subcommands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.run(["echo", "-h", "x"]) == 2
    assert capsys.readouterr().out == "-h x\n"


def test_only_the_one_that_runs_is_imported(commands: Subcommands) -> None:
    assert "lowlat_echo" not in sys.modules
    assert commands.run(["echo"]) == 0
    assert "lowlat_echo" in sys.modules
    with pytest.raises(ModuleNotFoundError, match="lowlat_gone"):
        commands.run(["gone"])


@pytest.mark.parametrize(
    ("typed", "hint"), [("ehco", "did you mean 'echo'?"), ("zzz", "expected one of: echo, gone")]
)
def test_a_wrong_name_suggests_the_right_one(
    commands: Subcommands, capsys: pytest.CaptureFixture[str], typed: str, hint: str
) -> None:
    assert commands.run([typed]) == EXIT_USAGE
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err == f"tool: {typed!r} is unknown; {hint}\n"


def test_help_goes_to_standard_output(commands: Subcommands, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["--help"]) == 0
    captured = capsys.readouterr()
    assert "echo  print" in captured.out
    assert not captured.err


def test_no_name_is_a_wrong_command_line(commands: Subcommands, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run([]) == EXIT_USAGE
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.startswith("usage: tool")
