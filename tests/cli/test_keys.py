# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command that makes and lists keys: it never shows a secret."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.main import main
from lowlat_nodes.transport.zmq.curve import load_pair, load_server_keys


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOWLAT_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def keys(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    code = main(["keys", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_commands_of_two_machines(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    robot = keys(capsys, "new", "robot")[1]["public"]
    laptop = keys(capsys, "new", "laptop", "--dir", str(folder.parent / "laptop"))[1]["public"]
    assert keys(capsys, "allow", "robot", laptop, "--as", "laptop")[0] == 0
    code, listed = keys(capsys, "list")
    (pair,) = listed["pairs"]
    assert (code, pair["public"], listed["problems"]) == (0, robot, [])
    assert [(client["name"], client["public"]) for client in pair["clients"]] == [("laptop", laptop)]
    assert load_server_keys("robot").name == "robot"
    assert keys(capsys, "deny", "robot", "laptop")[1]["denied"] == ["laptop"]
    assert keys(capsys, "allow", "robot", laptop)[1]["name"].startswith("key-")
    assert keys(capsys, "allow", "robot", laptop, "--remove")[0] == 0


def test_what_new_says_is_a_command_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "new", "robot"])
    main(["keys", "new", "laptop"])
    command = shlex.split(capsys.readouterr().out.splitlines()[-1].replace("SERVER", "robot"))
    assert main(command[1:]) == 0
    assert "lets in laptop" not in capsys.readouterr().out
    main(["keys", "list"])
    assert "lets in laptop" in capsys.readouterr().out


def test_a_file_is_a_key_too(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    for name in ("robot", "laptop"):
        keys(capsys, "new", name)
    copied = tmp_path / "of_the_laptop.txt"
    copied.write_bytes((folder / "laptop.key").read_bytes())
    assert keys(capsys, "allow", "robot", str(copied))[1]["name"] == "of_the_laptop.txt"
    assert keys(capsys, "add", "elsewhere", str(copied))[0] == 0
    assert keys(capsys, "list")[1]["known"][0]["name"] == "elsewhere"


def test_secrets_are_not_shown(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    shown = []
    for argv in (["new", "robot"], ["list"], ["list", "--json"], ["new", "arm", "--json"]):
        main(["keys", *argv])
        shown.append(capsys.readouterr().out)
    for name in ("robot", "arm"):
        secret = load_pair(folder / f"{name}.key_secret").secret
        assert not any(secret in text for text in shown)


def test_problems_are_listed(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    keys(capsys, "new", "robot")
    (folder / "robot.key_secret").chmod(0o640)
    code, listed = keys(capsys, "list")
    assert code == 1
    assert "chmod 600" in listed["problems"][0]


def test_what_cannot_be_done_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    keys(capsys, "new", "robot")
    for argv, words in (
        (["new", "robot"], "already"),
        (["allow", "arm", "x" * 40], "lowlat keys new arm"),
        (["allow", "robot", "nobody"], "there is no key 'nobody'"),
        (["deny", "robot", "nobody"], "it allows nobody"),
    ):
        assert main(["keys", *argv]) == 2
        assert words in capsys.readouterr().err
