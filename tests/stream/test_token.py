# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Tokens come from files that nobody else may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.token import read_token


def write(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_a_token_is_a_line(tmp_path: Path) -> None:
    assert read_token(write(tmp_path / "token", b"s3cret\n")) == "s3cret"
    assert read_token("") == ""


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_token(write(tmp_path / "token", b"s3cret", mode))


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\r\nX-Header: b", b"\xc3\xa9", b"x" * 2000])
def test_what_is_no_token(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigurationError, match="printable ASCII"):
        read_token(write(tmp_path / "token", content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError, match="expected a file with a token"):
            read_token(str(path))
