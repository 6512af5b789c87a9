# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Shipped files are found in the source tree and in every kind of installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes import resources

ROOT = Path(__file__).resolve().parents[1]


def test_the_source_tree_comes_first(tmp_path: Path) -> None:
    (tmp_path / "package.xml").touch()
    assert next(resources.roots(tmp_path / "lowlat_nodes")) == tmp_path


@pytest.mark.parametrize(
    ("package", "share"),
    [
        pytest.param(".venv/lib/python3.12/site-packages", ".venv/share", id="virtual environment"),
        pytest.param(
            "install/lowlat_nodes/lib/python3.12/site-packages", "install/lowlat_nodes/share", id="colcon"
        ),
        pytest.param("usr/local/lib/python3/dist-packages", "usr/local/share", id="debian"),
        pytest.param("target", "target/share", id="pip install --target"),
    ],
)
def test_an_installation_keeps_them_in_the_share_folder_of_its_prefix(
    tmp_path: Path, package: str, share: str
) -> None:
    roots = list(resources.roots(tmp_path / package / "lowlat_nodes"))
    assert tmp_path / share / "lowlat_nodes" in roots
    assert tmp_path / package not in roots


def test_a_shipped_file_is_found_wherever_this_copy_was_installed() -> None:
    found = resources.path("launch", "policy.launch.py")
    assert found.read_bytes() == (ROOT / "launch" / "policy.launch.py").read_bytes()


def test_a_missing_file_says_where_it_was_looked_for() -> None:
    with pytest.raises(resources.ResourceError) as caught:
        resources.path("models", "no_such.onnx")
    for root in resources.roots():
        assert str(root / "models" / "no_such.onnx") in str(caught.value)


def test_a_recording_is_a_path_or_the_name_of_one_that_ships(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(resources.recording("ztf_night")) == ROOT / "recordings" / "ztf_night.avro"
    for given in ("night.avro", "nights/*.tar", "/data/night"):
        assert resources.recording(given) == given
    (tmp_path / "night").mkdir()
    assert resources.recording("night") == "night"  # a folder of the user
    with pytest.raises(resources.ResourceError, match="recordings/no_such"):
        resources.recording("no_such")


def test_the_cache_is_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert resources.cache_folder() == tmp_path / "lowlat_nodes"
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert resources.cache_folder() == Path.home() / ".cache" / "lowlat_nodes"
