# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of the page: nothing from elsewhere, no text read as markup, colours that can be read."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from lowlat_nodes.cli.dash.assets import FOLDER, read_assets

OURS = sorted(path for path in FOLDER.iterdir() if not path.name.startswith("uPlot"))
MARKUP = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "DOMParser",
    "eval(",
    "Function(",
    "srcdoc",
)


def test_the_plotting_library_is_the_published_one() -> None:
    listed = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (FOLDER / "uPlot.txt").read_text(), re.MULTILINE))
    sums = {value: key for key, value in listed.items()}
    shipped = [
        path for path in FOLDER.iterdir() if path.name.startswith("uPlot.") and path.name != "uPlot.txt"
    ]
    assert len(shipped) == 3
    for path in shipped:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[path.name]
    assert "MIT License" in (FOLDER / "uPlot.LICENSE").read_text()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_text_is_never_read_as_markup_and_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "SPDX-License-Identifier: Apache-2.0" in text
    assert not [name for name in MARKUP if name in text]
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)) <= {"http://www.w3.org"}
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)


def test_every_file_that_is_named_is_served() -> None:
    served = read_assets()
    names = set(re.findall(r'(?:src|href)="(assets/[^"]+)"', served["/"].data.decode()))
    assert {"assets/main.js", "assets/dash.css", "assets/uPlot.iife.min.js"} <= names
    assert {f"/{name}" for name in names} <= set(served)
    for path in FOLDER.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
            assert f"/assets/{name}" in served, f"{path.name} imports {name}"


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "card"])
def test_text_stands_out(scheme: int, ground: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (FOLDER / "dash.css").read_text(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[scheme]))
    # WCAG 2.2, 1.4.3 for text and 1.4.11 for what is drawn.
    for name in ("ink", "faint", "well", "warn", "trouble"):
        assert _contrast(colours[name], colours[ground]) >= 4.5, name
    for name in ("plot", "focus", *(f"band-{band}" for band in "ugrizy")):
        assert _contrast(colours[name], colours[ground]) >= 3.0, name


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
