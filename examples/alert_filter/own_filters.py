# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A filter of alerts as a Python function, for what an expression cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def surprising(result: Mapping[str, Any]) -> bool:
    """Keep what two classes could be equally well: its two largest probabilities are close.

    Args:
        result: The fields of docs/alert_results.md, to read only; a value that is not known is None.
    """
    first, second = sorted((p for p in result["p"].values() if p is not None), reverse=True)[:2]
    return first - second < 0.2
