# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.cli.dash.assets import read_assets
from lowlat_nodes.stream.errors import ConfigurationError


def test_only_files_of_the_page_are_served(tmp_path: Path) -> None:
    for name in ("index.html", "dash.js", "dash.css", "icon.svg", "LICENSE.txt", "notes.py", "secret"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.js").mkdir()
    assets = read_assets(tmp_path)
    assert set(assets) == {
        "/",
        "/assets/dash.js",
        "/assets/dash.css",
        "/assets/icon.svg",
        "/assets/LICENSE.txt",
    }
    assert assets["/"].data == b"index.html"
    assert assets["/"].content_type.startswith("text/html")
    assert assets["/assets/dash.js"].content_type.startswith("text/javascript")
    assert len({asset.tag for asset in assets.values()}) == len(assets)


def test_a_missing_page_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected index\.html"):
        read_assets(tmp_path)
    with pytest.raises(ConfigurationError, match="the page cannot be read"):
        read_assets(tmp_path / "none")
