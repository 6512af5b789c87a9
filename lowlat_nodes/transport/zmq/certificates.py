# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Key files of CURVE as czmq and pyzmq write them: `NAME.key` is public, `NAME.key_secret` has both keys."""

from __future__ import annotations

import re
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.private_files import check_mode, read_owned

PUBLIC = ".key"
SECRET = ".key_secret"  # noqa: S105 - the end of a file name

KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")
"""A key in Z85 (ZeroMQ RFC 32)."""

_LINE = re.compile(r"""\s*(public|secret)-key\s*=\s*["']([^"'\s]{40})["']\s*\Z""")


def read_certificate(path: Path) -> tuple[str, str]:
    """Return the public and the secret key of a file, the latter empty where there is none.

    Raises:
        ConfigurationError: If it cannot be read, holds no keys, or others could read or change what they must
            not.
    """
    keys = {"public": "", "secret": ""}
    content, mode = read_owned(path)
    for line in content.decode("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match and KEY.match(match.group(2)):
            keys[match.group(1)] = match.group(2)
    if not keys["public"]:
        raise ConfigurationError(
            f"{path}: cannot read a certificate: expected a line public-key = and 40 characters in quotes"
        )
    check_mode(path, mode, secret=bool(keys["secret"]))
    return keys["public"], keys["secret"]


def certificate(name: str, public: str, secret: str = "") -> bytes:
    """Return the contents of a key file."""
    keys = [f'    public-key = "{public}"'] + ([f'    secret-key = "{secret}"'] if secret else [])
    return "\n".join(
        ["# CURVE certificate" + (", secret: for its owner only" if secret else ""), "metadata",
         f'    name = "{name}"', "curve", *keys, ""]
    ).encode()  # fmt: skip
