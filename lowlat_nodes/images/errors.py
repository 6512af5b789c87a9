# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with images in flight."""

from __future__ import annotations

from lowlat_nodes.stream.errors import LowlatError


class BadImage(LowlatError):
    """An image that contradicts itself, is too large or cannot be read; it is counted and dropped."""
