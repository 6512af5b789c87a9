# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the file of a classifier says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.stream.errors import ConfigurationError


def read_threshold(
    path: Path,
    metadata: Mapping[str, str],
    contract: str,
    *,
    trainer: str,
    expected: Mapping[str, Sequence[str]],
) -> float:
    """Return the probability below which to abstain, of a model that is what it should be.

    Args:
        path: The file, for messages.
        metadata: What it says.
        contract: What its inputs and outputs mean, by name.
        trainer: The command that makes such files.
        expected: Lists of words that must be in it as JSON, beside the classes.

    Raises:
        ConfigurationError: If it is another kind of model, or has no threshold from 0 to 1.
    """
    if (got := metadata.get("contract")) != contract:
        raise ConfigurationError(
            f"{path}: expected a model of `{trainer}` with contract {contract}, got {got!r}"
        )
    for key, words in {"classes": CLASSES, **expected}.items():
        if (got := metadata.get(key)) != json.dumps(words):
            raise ConfigurationError(f"{path}: expected {key} {json.dumps(words)}, got {got}; train it anew")
    try:
        threshold = float(metadata["threshold"])
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: expected a number as threshold in its metadata: {error}"
        ) from error
    if not 0.0 <= threshold <= 1.0:
        raise ConfigurationError(f"{path}: expected a threshold from 0 to 1, got {threshold:g}")
    return threshold
