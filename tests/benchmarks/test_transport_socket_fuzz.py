# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Receivers stand changed messages, and the measurement would see it if they did not."""

from __future__ import annotations

import random
import signal

import pytest

from lowlat_nodes.benchmarks import _transport_socket_fuzz as socket_fuzz
from lowlat_nodes.benchmarks._transport_socket_fuzz import KINDS, Target, fuzz, mutate, mutate_bytes


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bridge"])
def test_receivers_stand_changed_messages(kind: str) -> None:
    found = fuzz(600, [kind])
    assert (found["crashes"], found["hangs"]) == (0, 0)
    assert found["messages"] == 600
    assert sum(found["targets"][kind]["counts"].values()) > 0


@pytest.mark.ros
def test_the_bridge_stands_changed_messages() -> None:
    assert [fuzz(600, ["bridge"])[name] for name in ("crashes", "hangs")] == [0, 0]


class _Fragile(KINDS["packets"]):  # type: ignore[misc]
    """A receiver that ends, or stops, after the first batch."""

    due: signal.Signals | None = None

    def batch(self, count: int) -> None:
        super().batch(count)
        if _Fragile.due is not None:
            self.process.send(_Fragile.due)
            _Fragile.due = None


@pytest.mark.parametrize(("due", "seen"), [(signal.SIGSEGV, "crashes"), (signal.SIGSTOP, "hangs")])
def test_what_ends_or_hangs_is_seen(monkeypatch: pytest.MonkeyPatch, due: signal.Signals, seen: str) -> None:
    monkeypatch.setattr(socket_fuzz, "PATIENCE_S", 3.0)
    monkeypatch.setitem(KINDS, "packets", _Fragile)
    _Fragile.due = due
    found = fuzz(600, ["packets"])
    assert found[seen] == 1
    assert found["crashes"] + found["hangs"] == 1


def test_changes_are_changes() -> None:
    rng = random.Random(1)
    frames = [b"topic", b"\x81\xa1v\x01", b"array" * 10]
    assert sum(mutate(frames, rng) != frames for _ in range(200)) > 190
    assert sum(mutate_bytes(frames[1], rng) != frames[1] for _ in range(200)) > 150
    assert frames == [b"topic", b"\x81\xa1v\x01", b"array" * 10]


def test_all_receivers_are_there() -> None:
    assert set(KINDS) == {
        "policy", "gr00t", "calls", "packets", "work_sink", "work_source", "subscriber", "publisher",
        "bridge",
    }  # fmt: skip
    assert all(issubclass(made, Target) for made in KINDS.values())
