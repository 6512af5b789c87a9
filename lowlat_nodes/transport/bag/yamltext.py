# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""YAML from outside: bounded, plain data only."""

from __future__ import annotations

from typing import Any

import yaml

from lowlat_nodes.transport.bag.errors import BagError

LIMIT_BYTES = 16 << 20

# libyaml where PyYAML was built with it: the metadata of a thousand splits is read in a moment.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str, what: str) -> Any:
    """Return the data of a YAML text.

    Args:
        text: The text.
        what: What it is, for the message of an error.

    Raises:
        BagError: If it is too long or no YAML.
    """
    if len(text) > LIMIT_BYTES:
        raise BagError(f"{what}: expected at most {LIMIT_BYTES >> 20} MiB of YAML, got {len(text) >> 20} MiB")
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BagError(f"{what}: expected YAML, got {text[:80]!r}: {error}") from error
