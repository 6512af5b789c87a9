# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders that nodes would refuse are named before a node does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Doctor = Callable[..., Any]

VARIABLES = {"energy": "LOWLAT_ENERGY_DIR", "turn": "LOWLAT_TURN_DIR"}


@pytest.mark.parametrize("subject", VARIABLES)
def test_what_nodes_would_say(doctor: Doctor, tmp_path: Path, subject: str) -> None:
    folder = tmp_path / subject
    variables = {VARIABLES[subject]: str(folder)}
    assert "will be made" in doctor("folders", variables, code=0)[subject]["found"]
    assert not folder.exists()  # looking changes nothing
    folder.mkdir(mode=0o700)
    assert "safe to meet in" in doctor("folders", variables, code=0)[subject]["found"]
    folder.chmod(0o777)
    found = doctor("folders", variables, code=1)[subject]
    assert found["level"] == "problem"
    assert f"run chmod o-w {folder}" in found["found"]
    assert found["mend"][1].startswith(f"export {VARIABLES[subject]}=")


def test_a_file_in_its_place(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = doctor("folders", {"LOWLAT_TURN_DIR": str(tmp_path / "file")}, code=1)["turn"]
    assert "expected a folder" in found["found"]
