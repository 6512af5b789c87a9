# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A library that is missing or too old is named with the extra that brings it."""

from __future__ import annotations

import sys

import pytest

from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.transport.policy.connect import connect
from lowlat_nodes.transport.policy.websocket import require_websockets


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.version", None)
    with pytest.raises(MissingExtra, match=r"'websockets'.*lowlat_nodes\[remote\]"):
        connect("openpi", "ws://127.0.0.1")


@pytest.mark.remote
def test_an_old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    require_websockets()
    monkeypatch.setattr("websockets.version.version", "10.4")
    with pytest.raises(MissingExtra, match=r"'websockets>=15'.*lowlat_nodes\[remote\]"):
        require_websockets()
