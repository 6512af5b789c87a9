# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Small files of sysfs: where they are, and numbers that are read over and over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from lowlat_nodes.stream.errors import LowlatError

ROOT_VARIABLE = "LOWLAT_SYSFS_ROOT"

_REAL = Path("/sys")
_NUMBER_BYTES, _WORD_BYTES = 64, 256
_NUMBER = re.compile(rb"-?[0-9]{1,20}\s*\Z")  # int() would take 1_000 too


class Fault(str, Enum):
    """Why a file gives no number."""

    MISSING = "missing"
    DENIED = "denied"
    NOT_A_NUMBER = "not a number"
    GONE = "gone"


class Unreadable(LowlatError):
    """A file gives no number.

    Args:
        fault: What is wrong.
        path: Of the file.
        detail: What came instead.
    """

    def __init__(self, fault: Fault, path: Path, detail: str) -> None:
        super().__init__(f"expected a number in {path}: {detail}")
        self.fault = fault
        self.path = path


def root_of(root: Path | None = None) -> Path:
    """Return where sysfs is: what is given, else $LOWLAT_SYSFS_ROOT, else /sys."""
    return root or Path(os.environ.get(ROOT_VARIABLE) or _REAL)


def fake_of(root: Path) -> str:
    """Return what stands behind the files below a root, empty for the kernel."""
    return "" if root.absolute() == _REAL else f"fake sysfs at {root}"


def number(path: Path) -> int:
    """Return the number in a file that is read once.

    Raises:
        Unreadable: If there is none.
    """
    file = NumberFile(path)
    try:
        return file.read()
    finally:
        file.close()


def lasting_fault(files: Iterable[NumberFile]) -> Unreadable | None:
    """Return what is wrong with files, except that a driver is silent, which may pass."""
    try:
        for file in files:
            file.read()
    except Unreadable as error:
        return None if error.fault is Fault.GONE else error
    return None


def word(path: Path) -> str:
    """Return the one line of a small file, such as a label; empty if there is none, or it is not text."""
    try:
        with path.open("rb") as file:
            text = file.read(_WORD_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""
    return text if text.isprintable() else ""


class NumberFile:
    """A file that holds one integer, kept open: a reading is one pread of the kernel's present value.

    After the driver went away, each reading tries to open the file anew.

    Args:
        path: Of the file; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._was_there = False

    def read(self) -> int:
        """Return the number.

        Raises:
            Unreadable: If there is none; the next call tries again.
        """
        try:
            if self._file < 0:
                self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                self._was_there = True
            text = os.pread(self._file, _NUMBER_BYTES, 0)
        except FileNotFoundError as error:
            self.close()
            raise Unreadable(
                Fault.GONE if self._was_there else Fault.MISSING, self.path, "there is no such file"
            ) from error
        except PermissionError as error:
            self.close()
            raise Unreadable(Fault.DENIED, self.path, "this user may not read it") from error
        except (
            OSError
        ) as error:  # ENODEV where the driver was unbound, EIO and ENODATA where a chip is silent
            self.close()
            raise Unreadable(Fault.GONE, self.path, os.strerror(error.errno or 0)) from error
        if _NUMBER.match(text):
            return int(text)
        if not text:
            self.close()
            raise Unreadable(Fault.GONE, self.path, "it is empty")
        raise Unreadable(Fault.NOT_A_NUMBER, self.path, f"got {text[:32]!r}")

    def close(self) -> None:
        """Close the file; the next reading opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
