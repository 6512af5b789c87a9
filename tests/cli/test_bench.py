# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench` finds the files of benchmarks/ without importing them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

import lowlat_nodes.benchmarks
from lowlat_nodes.cli import bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lowlat_nodes.benchmarks, "__path__", [str(tmp_path)])
    importlib.invalidate_caches()
    return tmp_path


def test_a_benchmark_is_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nothing_at_all.py").write_text(
        '"""The cost of nothing.\n\nAnd more."""\ndef main(argv):\n    print(\'{"ns": 0}\')\n    return 0\n'
    )
    (folder / "_shared.py").write_text("raise SystemExit")
    assert bench.main([]) == 0
    listed = capsys.readouterr().out
    assert "nothing_at_all  The cost of nothing\n" in listed
    assert "_shared" not in listed
    assert "lowlat_nodes.benchmarks.nothing_at_all" not in sys.modules

    assert bench.main(["nothing_at_all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ns": 0}
    del sys.modules["lowlat_nodes.benchmarks.nothing_at_all"]


def test_every_file_of_the_folder_is_listed() -> None:
    files = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}
    assert set(bench.benchmarks().table) == files
    assert all(command.summary for command in bench.benchmarks().table.values())
