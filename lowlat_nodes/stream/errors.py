# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Root of the error family: every error says what was expected, what came and what to do."""

from __future__ import annotations


class LowlatError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(LowlatError):
    """A parameter, file or model does not fit; raised before anything moves, never in flight."""


class MissingExtra(ConfigurationError):
    """A library is needed here and not installed.

    Args:
        module: The import name that failed.
        extra: The pip extra of this package that brings it; empty for what comes with the package itself.
    """

    def __init__(self, module: str, extra: str = "") -> None:
        package = f"'lowlat_nodes[{extra}]'" if extra else "lowlat_nodes"
        super().__init__(
            f"this needs the Python module {module!r}, which is not installed; "
            f"install it with: pip install {package}"
        )
        self.module = module
        self.extra = extra
