# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processors by name: ours, and those that installed packages register."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.nodes import processors
from lowlat_nodes.stream.throttle import Throttle

METADATA = "Metadata-Version: 2.1\nName: my_robot\nVersion: 1.0\n"


@pytest.fixture
def my_robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is installed, as far as Python can tell."""
    folder = tmp_path / "my_robot-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    entries = "slow = lowlat_nodes.nodes.processors:make_throttle\nthrottle = my_robot:make_other\n"
    (folder / "entry_points.txt").write_text(f"[{processors.GROUP}]\n{entries}")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("my_robot")
def test_a_package_registers_processors_and_takes_no_name_of_ours() -> None:
    names = processors.names()
    assert list(names)[: len(processors.BUILT_IN)] == list(processors.BUILT_IN)
    assert names["throttle"] == processors.BUILT_IN["throttle"]
    assert isinstance(processors.make("slow", {"max_hz": 2.0}), Throttle)


@pytest.mark.parametrize(
    ("stream", "name"),
    [("image", "image"), ("~/nearest", "nearest"), ("/camera/image", "camera_image"), ("a/b/c", "a_b_c")],
)
def test_streams_have_names_that_parameters_can_have(stream: str, name: str) -> None:
    assert processors.parameter_name(stream) == name
