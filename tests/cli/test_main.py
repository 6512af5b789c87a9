# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The `lowlat` command: what goes to which stream, and with which exit code."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import lowlat_nodes
from lowlat_nodes.cli import main as command
from lowlat_nodes.cli.subcommands import EXIT_USAGE, Subcommand, Subcommands
from lowlat_nodes.stream.errors import ConfigurationError

LOWLAT = [sys.executable, "-m", "lowlat_nodes.cli.main"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A subcommand whose `main` the test sets."""
    module = types.ModuleType("lowlat_failing")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    table = {"fail": Subcommand(module.__name__, "fails")}
    monkeypatch.setattr(command, "COMMANDS", Subcommands("lowlat", table))
    return module


def test_our_errors_are_shown_without_a_traceback(
    failing: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(argv: list[str]) -> int:
        raise ConfigurationError(f"expected a bag, got {argv[0]}")

    failing.main = main
    assert command.main(["fail", "x"]) == EXIT_USAGE
    captured = capsys.readouterr()
    assert captured.err == "lowlat fail: expected a bag, got x\n"
    assert not captured.out


def test_the_errors_of_others_are_not_hidden(failing: types.ModuleType) -> None:
    def main(argv: list[str]) -> int:
        raise RuntimeError(*argv)

    failing.main = main
    with pytest.raises(RuntimeError):
        command.main(["fail"])


def test_ctrl_c_has_its_own_exit_code(failing: types.ModuleType) -> None:
    def main(argv: list[str]) -> int:
        raise KeyboardInterrupt(*argv)

    failing.main = main
    assert command.main(["fail"]) == 130


def test_the_exit_code_is_that_of_the_subcommand(failing: types.ModuleType) -> None:
    failing.main = lambda argv: 40 + len(argv)
    assert command.main(["fail", "a", "b"]) == 42


def test_version() -> None:
    result = subprocess.run([*LOWLAT, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"lowlat_nodes {lowlat_nodes.__version__}\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    """`lowlat bench | head -0`: nothing about a broken pipe is shown."""
    process = subprocess.Popen([*LOWLAT, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        errors = process.stderr.read()
    assert process.wait(timeout=60) in {0, 1}
    assert not errors
