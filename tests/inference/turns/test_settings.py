# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lowlat_nodes.inference.turn import UNSHARED
from lowlat_nodes.inference.turns.folder import VARIABLE
from lowlat_nodes.inference.turns.settings import TurnSettings, open_turn
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError


def test_a_node_without_a_device_shares_none() -> None:
    turn = open_turn(build(TurnSettings, {}), "/node")
    assert turn is UNSHARED
    with turn.job("640x640"):
        turn.between()
    turn.declare()
    assert turn.figures() == {}
    turn.close()


@pytest.mark.parametrize("given", [{"deadline_ms": 20.0, "period_ms": 25.0}, {"period_ms": 20.0}, {}])
def test_a_device_is_shared_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, float]
) -> None:
    monkeypatch.setenv(VARIABLE, str(folder))
    settings = build(TurnSettings, {"device": "cuda:0", **given})
    with closing(open_turn(settings, "/node")) as turn:
        with turn.job():
            pass
        turn.declare()
        assert turn.figures()["turn.device"] == "cuda:0"
        assert (float(turn.figures()["turn.load"]) > 0.0) == bool(given)
        assert [path.name for path in folder.iterdir()] == ["cuda:0.turns"]


@pytest.mark.parametrize("device", ["../cpu0", "a/b", ".", " cpu", "a" * 33, "cpu\n", "é"])
def test_a_name_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(ConfigurationError, match=r"turn.device: expected up to 32 letters"):
        build(TurnSettings, {"device": device})


def test_a_deadline_without_a_period_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"turn.deadline_ms: 20 ms.*give turn.period_ms"):
        build(TurnSettings, {"device": "cpu0", "deadline_ms": 20})
