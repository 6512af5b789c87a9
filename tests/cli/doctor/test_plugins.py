# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plugins of other packages: some load, some do not, some end the process that loads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Doctor = Callable[..., Any]

MODULES = {
    "good": "def make(parameters): ...\n",
    "raises": "raise RuntimeError('no camera')\n",
    "ends": "import os; os._exit(3)\n",
    "without": "",
    "talks": "print('hello'); print('{not json')\n\ndef make(parameters): ...\n",
}


def install(folder: Path, *names: str) -> dict[str, str]:
    """Install a package with a plugin of each name, and return the environment in which it is found."""
    for name in names:
        (folder / f"plugin_{name}.py").write_text(MODULES.get(name, ""))
    info = folder / "some_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugins\nVersion: 1.0\n")
    lines = "".join(f"{name} = plugin_{name}:make\n" for name in names)
    (info / "entry_points.txt").write_text(f"[lowlat_nodes.processors]\n{lines}")
    return {"PYTHONPATH": f"{folder}:{Path(__file__).parents[3]}"}


def test_plugins_that_load_and_that_do_not(doctor: Doctor, tmp_path: Path) -> None:
    found = doctor("plugins", install(tmp_path, "good", "talks", "raises", "without"), code=1)
    assert {name: row["level"] for name, row in found.items()} == {
        "good": "ok",
        "talks": "ok",
        "raises": "problem",
        "without": "problem",
    }
    assert (
        "plugin_raises:make of some-plugins does not load: RuntimeError: no camera"
        in found["raises"]["found"]
    )
    assert found["raises"]["mend"][0].endswith("-c 'import plugin_raises'")


def test_a_plugin_that_ends_the_process(doctor: Doctor, tmp_path: Path) -> None:
    found = doctor("plugins", install(tmp_path, "good", "ends"), code=1)
    assert found["good"]["level"] == "ok"
    assert "ended or held up the process: it ended with 3" in found["ends"]["found"]
