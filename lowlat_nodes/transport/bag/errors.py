# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with bags."""

from __future__ import annotations

from lowlat_nodes.stream.errors import LowlatError


class BagError(LowlatError):
    """A bag cannot be read or written; whatever a damaged file holds, nothing else is raised."""


class TypeUnknown(BagError):
    """A message type that is neither among the standard ones nor installed here."""

    def __init__(self, type_name: str) -> None:
        super().__init__(
            f"type {type_name} is not known here; install the package that defines it (types with wide "
            "strings, wstring, are never known)"
        )
        self.type_name = type_name


class DiskError(BagError):
    """The place where a bag is to be takes no more, or none."""
