# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lowlat_nodes.alerts.avro import fuzz
from lowlat_nodes.alerts.avro.mutate import Mutator
from lowlat_nodes.alerts.avro.reader import MACHINES

BODY = bytes(range(256)) * 20


@pytest.fixture(autouse=True)
def _few_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SCHEMAS", 12)


def test_changed_packets_end_no_process() -> None:
    report = fuzz.fuzz(8 * fuzz.BATCH, seed=3, processes=2)
    assert report["packets"] == 8 * fuzz.BATCH
    assert report["crashes"] == report["hangs"] == report["mismatches"] == 0
    assert 0 < report["refused"] < report["packets"]
    assert report["mechanism"] == list(MACHINES)[-1]


def test_a_process_that_dies_is_counted_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SCHEMAS", 1)
    monkeypatch.setattr(fuzz, "BATCH", 64)
    report = fuzz.fuzz(64 * 12, seed=1, corpus=[(b"no schema", [b"12345"] * 6)])
    assert report["crashes"] == len(report["died"]) > 0
    assert report["packets"] > 0


def test_a_process_that_hangs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "PATIENCE_S", 0.0)
    report = fuzz.fuzz(3 * fuzz.BATCH, seed=1)
    assert report["hangs"] > 0
    assert report["packets"] + len(report["died"]) * fuzz.BATCH == 3 * fuzz.BATCH


def test_prints_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--packets", "1", "--seed", "7"]) == 0
    assert json.loads(capsys.readouterr().out)["packets"] == fuzz.BATCH


def test_changes_come_again_with_the_seed() -> None:
    def changed(seed: int) -> list[bytes]:
        return [bytes(view) for views in Mutator(BODY, seed).rounds(900) for view in views]

    first = changed(1)
    assert len(first) == 900
    assert first == changed(1)
    assert first != changed(2)
    assert sum(len(body) < len(BODY) for body in first) in range(50, 300)
    assert sum(body != BODY[: len(body)] for body in first) > 700


def test_the_record_is_whole_again_in_the_next_round() -> None:
    mutator = Mutator(BODY, 1)
    for views in mutator.rounds(2000):
        for view in views:
            differing = sum(a != b for a, b in zip(view, BODY, strict=False))
            assert differing <= 6 + 40


@pytest.mark.parametrize("size", [1, 5, 4096, 10_000])
def test_the_byte_behind_a_copy_cannot_be_read(size: int) -> None:
    program = (
        "import ctypes; from lowlat_nodes.alerts.avro.mutate import Mutator\n"
        f"for view in next(Mutator(bytes({size}), 1).rounds(1)):\n"
        "    end = ctypes.addressof(ctypes.c_char.from_buffer(view)) + len(view)\n"
        "    print(ctypes.string_at(end - 1, 1), flush=True)\n"
        "    ctypes.string_at(end, 1)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout.startswith("b'")
    assert result.returncode < 0
