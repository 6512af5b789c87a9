# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations wait for each other, but never for ever."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lowlat_nodes.inference.calibration import never
from lowlat_nodes.inference.calibration_turn import turn


def test_a_second_one_waits_for_the_end_of_the_first() -> None:
    events: list[str] = []
    waiting = threading.Event()

    def asked() -> bool:
        waiting.set()
        return False

    def second() -> None:
        with turn(asked):
            events.append("second")

    with turn(never):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60.0)
        events.append("first")
    thread.join()
    assert events == ["first", "second"]


def test_it_waits_no_longer_than_it_has_patience_or_is_told() -> None:
    with turn(never):
        with turn(never, patience_s=0.0):
            pass
        with turn(lambda: True):
            pass


def test_where_nothing_can_be_locked_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with turn(never):
        pass


def test_an_error_within_ends_the_turn() -> None:
    with pytest.raises(ValueError, match="mine"), turn(never):
        raise ValueError("mine")
    with turn(never, patience_s=0.0):
        pass
