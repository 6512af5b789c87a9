# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.energy.board import MAX_BYTES, Board
from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, Missing, NodeFigures
from lowlat_nodes.energy.plain import UnreadableFigures, from_plain, to_plain
from lowlat_nodes.stream.meter import Kind


def figures(*, steady_ns: int | None = None, gpu_s: float = 0.5) -> Figures:
    return Figures(
        host="robot",
        time_ns=1_800_000_000_000_000_000,
        steady_ns=time.monotonic_ns() if steady_ns is None else steady_ns,
        period_s=1.0,
        meters=(
            MeterFigures(
                "rapl/package-0", "cpu", ("cpu",), "", "a test", Kind.MEASURED, 0.001, 6e-5,
                10.0, 100.0, 4.0, 40.0, 50.0, 10.0, 0.0, 0.0,
            ),
            MeterFigures(
                "nvml/0", "gpu0", ("gpu",), "", "a test", Kind.UNAVAILABLE, 0.1, 1e-3,
                math.nan, 0.0, math.nan, 0.0, 0.0, 0.0, 0.0, 3.0, "the driver is gone",
            ),
        ),
        missing=(Missing("battery", "no topic"),),
        nodes=(
            NodeFigures(
                "/arm/policy", "action", 12, 2.0, 3.0, gpu_s,
                {"rapl/package-0": 5.0}, {"rapl/package-0": 50.0},
                (Cost("rapl/package-0", "640x640", 2.5, 0.1, "regression"),),
            ),
        ),
    )  # fmt: skip


def test_what_is_published_is_read(tmp_path: Path) -> None:
    board = Board(tmp_path)
    published = figures()
    board.publish(published)
    read = Board(tmp_path).read()
    assert read is not None
    # NaN equals nothing, itself neither.
    assert to_plain(read) == to_plain(published)
    assert read.nodes == published.nodes
    assert math.isnan(read.meters[1].watts)
    newer = dataclasses.replace(published, host="another")
    board.publish(newer)
    assert (again := board.read()) is not None
    assert again.host == "another"
    assert [path.name for path in tmp_path.iterdir()] == ["figures.msgpack"]
    board.withdraw()
    board.withdraw()
    assert board.read() is None
    assert "nobody samples" in board.why


@pytest.mark.parametrize("age_s", [11, -1])
def test_old_figures_are_none(tmp_path: Path, age_s: int) -> None:
    board = Board(tmp_path)
    board.publish(figures(steady_ns=time.monotonic_ns() - age_s * 10**9))
    assert board.read() is None
    assert "s old" in board.why


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xff" * 100,
        b"\x81\x01\x02",
        msgpack.packb([1, 2]),
        b"\x91" * 5000,
        b"\0" * (MAX_BYTES + 1),
    ],
)
def test_garbage_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "figures.msgpack").write_bytes(data)
    board = Board(tmp_path)
    assert board.read() is None
    assert "expected" in board.why


def test_a_link_or_a_folder_in_its_place_is_none(tmp_path: Path) -> None:
    (tmp_path / "figures.msgpack").symlink_to("/dev/zero")
    assert Board(tmp_path).read() is None
    (tmp_path / "figures.msgpack").unlink()
    (tmp_path / "figures.msgpack").mkdir()
    assert Board(tmp_path).read() is None


def test_plain_figures_are_json() -> None:
    plain = json.loads(json.dumps(to_plain(figures(gpu_s=math.nan)), allow_nan=False))
    assert plain["nodes"][0]["gpu_s"] is None
    assert plain["meters"][0]["kind"] == "measured"
    assert math.isnan(from_plain(plain).nodes[0].gpu_s)


def test_fields_that_nobody_knows_are_passed_over() -> None:
    assert from_plain({**to_plain(figures()), "new": 1}).host == "robot"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("host", 3, "figures.host: expected a text"),
        ("host", "x" * 1001, "at most 1000"),
        ("time_ns", -1, "a whole number from 0"),
        ("time_ns", True, "a whole number from 0"),
        ("period_s", "1", "a finite number"),
        ("period_s", math.inf, "a finite number"),
        ("nodes", [{}], r"nodes\[0\]: expected the field 'node'"),
        ("nodes", [{}] * 257, "a list of at most 256"),
        ("nodes", {}, "a list of at most 256"),
        ("meters", [None], r"meters\[0\]: expected a map"),
    ],
)
def test_wrong_fields_are_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(UnreadableFigures, match=message):
        from_plain({**to_plain(figures()), field: value})


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(path=st.lists(st.integers(0, 20), max_size=6), value=_ANY)
def test_whatever_stands_anywhere_is_read_or_refused(path: list[int], value: Any) -> None:
    plain = to_plain(figures())
    _put(plain, path, value)
    with contextlib.suppress(UnreadableFigures):
        assert isinstance(from_plain(plain), Figures)


def _put(place: Any, path: list[int], value: Any) -> None:
    """Replace what is at the end of a path of positions."""
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = keys[path.pop(0) % len(keys)] if path else keys[0]
        if not path or not isinstance(place[key], (dict, list)):
            place[key] = value
            return
        place = place[key]
