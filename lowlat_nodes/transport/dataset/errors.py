# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with datasets."""

from __future__ import annotations

from lowlat_nodes.stream.errors import LowlatError


class DatasetError(LowlatError):
    """A dataset cannot be read or written; whatever a damaged file holds, nothing else is raised."""
