# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the models, configurations and recordings of this package are, however it was installed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

PACKAGE = "lowlat_nodes"
"""The name under which files are installed below share/."""


class ResourceError(ConfigurationError):
    """A file that this package ships is not where it belongs."""


def roots(package: Path | None = None) -> Iterator[Path]:
    """Yield the folders that may hold models/, config/, launch/ and recordings/, the nearest first.

    The source tree comes first: an editable or symbolic-link installation leads back to it. Installed files
    lie in share/lowlat_nodes of the prefix that the package was installed to, a virtual environment, a user's
    base, a colcon workspace or a `pip install --target` folder; each of them is above the package.

    Args:
        package: The folder of the package; None takes the one that is running.
    """
    folder = Path(__file__).resolve().parent if package is None else package
    if (folder.parent / "package.xml").is_file():
        yield folder.parent
    for prefix in folder.parents:
        yield prefix / "share" / PACKAGE


def path(*parts: str) -> Path:
    """Return the path of a shipped file or folder, such as `path("models", "reach_flow.onnx")`.

    Args:
        parts: Folder and file names, from models, config, launch or recordings downwards.

    Returns:
        An existing path.

    Raises:
        ResourceError: If it is nowhere; the message lists where it was looked for.
    """
    candidates = [root.joinpath(*parts) for root in roots()]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = "\n".join(f"  {candidate}" for candidate in candidates)
    raise ResourceError(
        f"expected {'/'.join(parts)} among the installed files of {PACKAGE}; looked at\n{looked}"
    )


def model(name: str) -> Path:
    """Return the file of a model, given as a path with a suffix or by the name of one that ships.

    A path need not exist: whoever loads it says best what is missing.

    Raises:
        ResourceError: If no model of that name ships; the message lists those that do.
    """
    given = Path(name).expanduser()
    if given.suffix:
        return given
    try:
        return path("models", f"{name}.onnx")
    except ResourceError:
        known = sorted(file.stem for root in roots() for file in (root / "models").glob("*.onnx"))
        if not known:
            raise
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ResourceError(
            f"no model {name!r} comes with {PACKAGE}{hint} These do: {', '.join(known)}. Give your own as a "
            f"path with a suffix, such as ./{name}.onnx"
        ) from None


def recording(name: str) -> str:
    """Return recorded alerts, given as a path or pattern, or by the name of a night that ships.

    Raises:
        ResourceError: If it is a bare name, and neither there nor one of those.
    """
    bare = name.isidentifier() and not Path(name).exists()
    return str(path("recordings", f"{name}.avro")) if bare else name


def cache_folder() -> Path:
    """Return where to keep what can be made again: below $XDG_CACHE_HOME, or ~/.cache.

    Raises:
        FileNotFoundError: If this user has no home, as in some containers.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):  # the XDG Base Directory specification has relative paths ignored
        return Path(given) / PACKAGE
    try:
        return Path.home() / ".cache" / PACKAGE
    except RuntimeError as error:
        raise FileNotFoundError(
            "there is neither HOME nor a home of this user; set XDG_CACHE_HOME"
        ) from error
