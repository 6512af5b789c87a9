# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which public keys may connect, from files and folders that are looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.certificates import PUBLIC, read_certificate


def key_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files, and those of the folders that are named as public keys are."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob(f"*{PUBLIC}"))
        else:
            yield path


class AllowedKeys:
    """The public keys in files and folders, as they are now; for one thread.

    A look at what did not change is a few calls of the kernel. A file that cannot be read lets nobody in.

    Args:
        fixed: Keys that stay.
        paths: Files, and folders of them.

    Attributes:
        problems: What is wrong with files that were skipped at the last look.
    """

    def __init__(self, fixed: frozenset[str], paths: Sequence[Path]) -> None:
        self.problems: list[str] = []
        self._fixed = fixed
        self._paths = tuple(paths)
        self._keys = fixed
        self._seen: tuple[object, ...] = ()
        self.refresh()

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def refresh(self) -> frozenset[str]:
        """Read the files again if one of them has changed; return the keys that are not allowed any more."""
        if not self._paths:
            return frozenset()
        seen = tuple(map(_look, key_files(self._paths)))
        if seen == self._seen:
            return frozenset()
        before, self._seen, self.problems = self._keys, seen, []
        self._keys = self._fixed | frozenset(filter(None, map(self._read, key_files(self._paths))))
        return before - self._keys

    def _read(self, file: Path) -> str:
        try:
            return read_certificate(file)[0]
        except ConfigurationError as error:
            self.problems.append(str(error))
            return ""


def _look(file: Path) -> object:
    """Return what changes with a file: an exchange, an edit, another mode or owner."""
    try:
        status = file.stat()
    except OSError:
        return str(file)
    return str(file), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
