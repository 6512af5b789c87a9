# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What was found out at an earlier start, and files that hold something else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.inference import calibration_cache
from lowlat_nodes.inference.calibration import Calibration, Row
from lowlat_nodes.inference.candidates import Candidate
from lowlat_nodes.resources import cache_folder

FOUND = Calibration(
    (
        Row(Candidate("onnxruntime"), error="stopped"),
        Row(Candidate("openvino", "CPU", 2, True, "bf16", True), 20, 8.25, 9.5, 16.5, 0.004),
    ),
    1,
    0.5,
    2,
    1_700_000_000 * 10**9,
)
KEY = "0" * 64


@pytest.fixture
def file() -> Path:
    calibration_cache.write(KEY, FOUND)
    return cache_folder() / "calibration" / f"{KEY}.json"


def test_what_was_written_is_read_and_says_that_it_is_old(file: Path) -> None:
    assert calibration_cache.read(KEY) == dataclasses.replace(FOUND, cached=True)
    assert calibration_cache.read("1" * 64) is None


def test_nobody_else_reads_it_and_nothing_is_left_beside_it(file: Path) -> None:
    calibration_cache.write(KEY, FOUND)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    calibration_cache.write(KEY, FOUND)
    assert calibration_cache.read(KEY) is None


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", home)
    calibration_cache.write(KEY, FOUND)
    assert calibration_cache.read(KEY) is None


def test_keys_tell_models_and_circumstances_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    one.write_bytes(b"weights")
    other.write_bytes(b"other weights")
    keys = {
        calibration_cache.key(path, circumstances)
        for path in (one, other)
        for circumstances in ({"cores": "2"}, {"cores": "4"}, {"cores": "2", "image": None})
    }
    assert len(keys) == 6
    (tmp_path / "copy.onnx").write_bytes(b"weights")
    assert calibration_cache.key(tmp_path / "copy.onnx", {"cores": "2"}) in keys


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\xff\xfe", b"[]", b"null", b"{}", b"[" * 100_000, b'{"rows": 3}', b" " * (2 << 20)],
    ids=range(9),
)
def test_garbage_is_as_good_as_nothing(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert calibration_cache.read(KEY) is None


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("chosen", to=0),  # which failed
        _set("chosen", to=2),
        _set("chosen", to=-1),
        _set("chosen", to=True),
        _set("load", to="high"),
        _set("load", to=float("nan")),
        _set("unix_ns", to=1.5),
        _set("rows", to=[]),
        _set("rows", 1, to=None),
        _set("rows", 1, "runs", to="20"),
        _set("rows", 1, "apart", to=[]),
        _set("rows", 1, "candidate", "threads", to=2.0),
        _set("rows", 1, "candidate", "spinning", to=1),
        _set("rows", 1, "candidate", to={}),
    ],
    ids=range(14),
)
def test_a_file_with_one_thing_wrong_is_as_good_as_nothing(change: Callable[[Any], None], file: Path) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    assert calibration_cache.read(KEY) is None


def test_any_time_can_be_printed(file: Path) -> None:
    content = json.loads(file.read_text())
    content["unix_ns"] = 10**40
    file.write_text(json.dumps(content))
    found = calibration_cache.read(KEY)
    assert found is not None
    assert "from the cache, made" in found.as_text()
