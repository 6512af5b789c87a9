# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command as a whole: its page, its JSON, its exit code."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowlat_nodes.cli.doctor import command
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, Level, problem

DOCTOR = [sys.executable, "-m", "lowlat_nodes.cli.main", "doctor"]
SHORT = ["--only", "folders", "--only", "memory"]


def test_every_check_is_a_module_and_every_module_that_checks_is_listed() -> None:
    for name in command.CHECKS:
        assert importlib.util.find_spec(f"lowlat_nodes.cli.doctor.{name}")


def test_all_of_it_as_json() -> None:
    done = subprocess.run(
        [*DOCTOR, "--no-dds", "--json"], capture_output=True, text=True, check=False, timeout=120
    )
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert done.returncode == (document["problems"] > 0)
    assert document["seconds"] > 0.0
    assert list(dict.fromkeys(row["check"] for row in document["findings"])) == list(command.CHECKS)
    for row in document["findings"]:
        assert row["found"].rstrip("\"'").endswith((".", ")")) or "\n" not in row["found"]
        assert row["level"] in {level.value for level in Level}
    counted = {
        level: sum(row["level"] == level for row in document["findings"]) for level in ("warning", "note")
    }
    assert counted == {"warning": document["warnings"], "note": document["notes"]}


def test_the_page() -> None:
    done = subprocess.run([*DOCTOR, *SHORT], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert "memory  room in /dev/shm" in lines
    assert lines.index("memory  room in /dev/shm") < next(
        i for i, line in enumerate(lines) if line.startswith("folders")
    )
    assert "\x1b" not in done.stdout
    assert "in order" in lines[-1]
    columns = {
        line.index(line[10:].split()[0], 10) for line in lines if line.startswith(("  ok ", "  warning "))
    }
    assert columns == {11}


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal_only(variables: dict[str, str], coloured: bool) -> None:
    parent, child = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | variables
    with subprocess.Popen([*DOCTOR, *SHORT], stdout=child, env=environment) as process:
        os.close(child)
        text = b"".join(read(parent))
        process.wait(60.0)
    os.close(parent)
    assert (b"\x1b[32m" in text) is coloured
    assert b"in order" in text


def read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the other end was closed
            return
        if not data:
            return
        yield data


def test_an_unknown_check() -> None:
    done = subprocess.run([*DOCTOR, "--only", "heart"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'heart'" in done.stderr


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(examination: Examination) -> Iterator[Finding]:
        yield problem("first", "was found.")
        raise OSError("a disk that is gone")

    monkeypatch.setattr("lowlat_nodes.cli.doctor.memory.check", fails)
    first, second = command.look("memory", Examination({}))
    assert first.about == "first"
    assert (second.level, second.found) == (Level.PROBLEM, "It could not be done: a disk that is gone")


def test_an_installation_without_numpy_is_examined_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('No module named numpy')\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"}
    only = [
        word
        for name in ("installation", "memory", "energy", "models", "folders")
        for word in ("--only", name)
    ]
    done = subprocess.run(
        [*DOCTOR, "--json", *only], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    assert {row["check"] for row in json.loads(done.stdout)["findings"]} == set(only[1::2])


def test_what_hangs_is_killed() -> None:
    examination = Examination(os.environ)
    answer = examination.ask(
        [sys.executable, "-c", "print('hello', flush=True); input(); import time; time.sleep(1000)"], 60.0
    )
    assert "EOFError" in answer.reason
    answer = examination.ask([sys.executable, "-S", "-c", "import time; time.sleep(1000)"], 0.2)
    assert (answer.code, answer.reason) == (None, "it did not end in time")
