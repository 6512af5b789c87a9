# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a call of an operation."""

from __future__ import annotations


class BadArgument(ValueError):
    """An argument that no implementation takes; nothing was launched and nothing written."""


class NoImplementation(RuntimeError):
    """An implementation that this machine cannot run."""
