# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations of earlier starts, one small file each."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowlat_nodes.inference.calibration import Calibration, Row
from lowlat_nodes.inference.candidates import Candidate
from lowlat_nodes.resources import cache_folder

_MOST_BYTES = 1 << 20
_MOST_ROWS = 1000
_LARGEST_TIME_NS = (1 << 63) - 1


def key(model: Path, circumstances: Mapping[str, Any]) -> str:
    """Return the key of a model's calibration.

    Args:
        model: The file; its content counts.
        circumstances: All that the result depends on besides, as JSON has it.
    """
    digest = hashlib.sha256()
    with model.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    digest.update(json.dumps(circumstances, sort_keys=True).encode())
    return digest.hexdigest()


def read(name: str) -> Calibration | None:
    """Return what was written under a key; None if there is nothing, or nothing that makes sense."""
    try:
        with _path(name).open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
        return _calibration(content)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(name: str, found: Calibration) -> None:
    """Keep a calibration; a folder that cannot be written to is no reason to stop."""
    with contextlib.suppress(OSError):
        path = _path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".calibration")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(dataclasses.asdict(found), file)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


def _path(name: str) -> Path:
    return cache_folder() / "calibration" / f"{name}.json"


def _calibration(content: Any) -> Calibration:
    rows = tuple(_row(item) for item in content["rows"][:_MOST_ROWS])
    chosen = _a(int, content["chosen"])
    if not 0 <= chosen < len(rows) or rows[chosen].error:
        raise ValueError("expected a row that works to be chosen")
    return Calibration(
        rows,
        chosen,
        _a(float, content["load"]),
        _a(int, content["cores"]),
        _a(int, content["unix_ns"]) & _LARGEST_TIME_NS,
        cached=True,
    )


def _row(item: Any) -> Row:
    candidate = item["candidate"]
    return Row(
        Candidate(
            _a(str, candidate["backend"]),
            _a(str, candidate["device"]),
            _a(int, candidate["threads"]),
            _a(bool, candidate["spinning"]),
            _a(str, candidate["precision"]),
            _a(bool, candidate["folded"]),
        ),
        _a(int, item["runs"]),
        _a(float, item["p50_ms"]),
        _a(float, item["p99_ms"]),
        _a(float, item["cpu_ms"]),
        None if item["apart"] is None else _a(float, item["apart"]),
        _a(str, item["error"]),
    )


def _a(kind: type, value: Any) -> Any:
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise TypeError(f"expected a {kind.__name__}, got {value!r}")
    return value
