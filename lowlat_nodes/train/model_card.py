# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the card that ships beside a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def write(model: Path, text: str, facts: Mapping[str, object]) -> Path:
    """Write the card of a model beside it and return its path.

    Args:
        model: The file.
        text: The card with placeholders; `name`, `sha256` and `size` are those of the file.
        facts: Fill the other placeholders, by name.

    Raises:
        KeyError: If a placeholder has no fact.
    """
    content = model.read_bytes()
    own = {"name": model.stem, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    card = model.with_suffix(".md")
    card.write_text(text.format_map({**own, **facts}), encoding="utf-8")
    return card
