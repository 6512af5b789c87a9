# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What docs/plugins.md says to write is what works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowlat_nodes.cli import main as lowlat

if TYPE_CHECKING:
    from workplace import Workplace

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.ros
def test_the_processor_of_the_page_passes_its_test_and_can_be_hosted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processor, test, *_ = blocks("python")
    names: dict[str, object] = {}
    imports = "from types import SimpleNamespace\nfrom lowlat_nodes.stream.message import Message\n"
    (tmp_path / "page_nearest.py").write_text(processor)
    monkeypatch.syspath_prepend(tmp_path)
    exec(f"{imports}from page_nearest import *\n{test}test_the_nearest_obstacle_is_found()", names)  # noqa: S102
    (hosted,) = blocks("yaml")
    file = tmp_path / "nearest.yaml"
    file.write_text(hosted.replace("processor: nearest", "processor: page_nearest:make_nearest"))
    assert lowlat.main(["up", "--check", str(file)]) == 0
    assert "nodes: /nearest" in capsys.readouterr().out


def test_the_entry_point_of_the_page_is_that_of_the_example(workplace: Workplace) -> None:
    group = '"lowlat_nodes.processors": ['
    assert group in blocks("python")[2]
    assert group in (workplace.folder / "examples/own_processor/setup.py").read_text(encoding="utf-8")
