# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.trusted_folder import trusted_folder


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "new", "test", "TEST_DIR", make=True)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert trusted_folder(folder, "test", "TEST_DIR") == folder


def test_one_that_is_missing_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^test: cannot have the folder .*set TEST_DIR to one"):
        trusted_folder(tmp_path / "new", "test", "TEST_DIR")


def test_one_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"mode 0777\); run chmod o-w"):
        trusted_folder(tmp_path, "test", "TEST_DIR")


def test_a_link_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(ConfigurationError, match="expected a folder, no link and no file"):
            trusted_folder(tmp_path / name, "test", "TEST_DIR", make=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    tmp_path.chmod(0o770)  # so that others than root may have made it
    os.chown(folder, 52001, 52001)
    with pytest.raises(ConfigurationError, match=r"belongs to uid 52001; have it removed, or set TEST_DIR"):
        trusted_folder(folder, "test", "TEST_DIR")
