# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat interfaces` runs the script that ships, and says whether the messages are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes import resources
from lowlat_nodes.cli import interfaces


@pytest.mark.ros
def test_it_says_that_the_messages_are_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert interfaces.main([]) == 0
    assert capfd.readouterr().out == "vision_msgs is installed\n"


@pytest.mark.parametrize(
    ("script", "package"),
    [("raise SystemExit(1)", "vision_msgs"), ("", "no_such_messages")],
    ids=["not built", "not found afterwards"],
)
def test_it_fails_where_they_are_missing(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    script: str,
    package: str,
) -> None:
    (tmp_path / "build.py").write_text(script)
    monkeypatch.setattr(resources, "path", lambda *parts: tmp_path / parts[-1])
    monkeypatch.setattr(interfaces, "PACKAGE", package)
    assert interfaces.main([]) == 1
    assert "is installed" not in capfd.readouterr().out
