# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat dash`: what `lowlat top` shows and more, live, as a page in a browser."""

from __future__ import annotations

from lowlat_nodes.cli.dash.command import main

__all__ = ["main"]
