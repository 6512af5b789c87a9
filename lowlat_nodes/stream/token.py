# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Tokens: secrets in files, because parameters and command lines are for everybody to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

_LONGEST = 1024


def read_token(file: str) -> str:
    """Return the token in a file, or nothing where no file is named.

    Raises:
        ConfigurationError: If it cannot be read, others than its owner may read it, or it holds anything but
            one line of printable ASCII.
    """
    if not file:
        return ""
    path = Path(file).expanduser()
    try:
        with path.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode  # of what is read, whatever the path stands for by now
            token = opened.read(_LONGEST + 1).strip()
    except OSError as error:
        raise ConfigurationError(f"expected a file with a token, got {path}: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{path}: others may read or write this token; chmod 600 {path}")
    if not 0 < len(token) <= _LONGEST or not all(33 <= byte < 127 for byte in token):
        raise ConfigurationError(f"{path}: expected one line of up to {_LONGEST} printable ASCII characters")
    return token.decode("ascii")
