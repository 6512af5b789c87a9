# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Models against their cards: those that ship, and copies that were tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.models import hashes_of, judge

Doctor = Callable[..., Any]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("alerts_t2.onnx", "alerts_t2.md"):
        shutil.copy(resources.path("models", name), folder)
    return folder


def test_every_shipped_model_is_what_its_card_says(doctor: Doctor) -> None:
    found = doctor("models", code=0)
    assert list(found) == ["models"]
    assert set(found["models"]["figures"]["models"]) == {
        path.name for path in resources.path("models").glob("*.onnx")
    }


def levels(folder: Path) -> dict[str, tuple[str, str]]:
    return {each.about: (each.level.value, each.found) for each in judge(folder)}


def test_a_copy_is_as_good(copied: Path) -> None:
    assert levels(copied)["models"][0] == "ok"


def test_one_bit(copied: Path) -> None:
    path = copied / "alerts_t2.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    level, words = levels(copied)["alerts_t2.onnx"]
    assert level == "problem"
    assert "expected sha256 831ce7ee4c12cace" in words


def test_one_that_is_gone(copied: Path) -> None:
    (copied / "alerts_t2.onnx").unlink()
    level, words = levels(copied)["alerts_t2.onnx"]
    assert (level, "is missing" in words) == ("problem", True)


def test_one_without_card(copied: Path) -> None:
    shutil.copy(copied / "alerts_t2.onnx", copied / "mine.onnx")
    level, words = levels(copied)["mine.onnx"]
    assert (level, "has no card" in words) == ("warning", True)


@pytest.mark.parametrize(
    "head", ["", "---\nname: x\n---\n", "---\n: [\n---\n", "---\n- a\n---\n", "---\nfiles: 3\n---\n"]
)
def test_a_card_that_says_nothing(copied: Path, head: str) -> None:
    card = copied / "other.md"
    card.write_text(head + "# other\n")
    assert hashes_of(card) == {}
    assert levels(copied)["other.md"][0] == "problem"


def test_the_command_of_a_checkout_and_of_an_installation(copied: Path) -> None:
    (copied / "alerts_t2.onnx").unlink()
    [finding] = list(judge(copied))
    assert "pip install --force-reinstall" in finding.mend[0]
    (copied.parent / ".git").mkdir()
    [finding] = list(judge(copied))
    assert finding.mend == (f"git -C {copied.parent} checkout -- models/alerts_t2.onnx",)
