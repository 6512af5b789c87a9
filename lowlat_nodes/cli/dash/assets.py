# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of the page, read once: nothing else can be asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Asset:
    """A file.

    Attributes:
        data: Its bytes.
        content_type: As in the header of that name.
        tag: Changes with the bytes.
    """

    data: bytes
    content_type: str
    tag: str


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """Return the files of the page by the path at which they are served.

    Raises:
        ConfigurationError: If the page is not there.
    """
    try:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix in _TYPES and path.is_file()]
        assets = {f"/assets/{path.name}": _read(path) for path in paths}
    except OSError as error:
        raise ConfigurationError(f"the page cannot be read: {error}; install lowlat_nodes again") from error
    index = assets.pop(f"/assets/{INDEX}", None)
    if index is None:
        raise ConfigurationError(f"expected {INDEX} in {folder}; install lowlat_nodes again")
    return {"/": index, **assets}


def _read(path: Path) -> Asset:
    data = path.read_bytes()
    return Asset(data, _TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"')
