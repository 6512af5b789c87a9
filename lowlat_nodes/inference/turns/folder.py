# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where nodes of this user that share devices meet."""

from __future__ import annotations

import os
from pathlib import Path

from lowlat_nodes.stream.trusted_folder import MEMORY, trusted_folder

VARIABLE = "LOWLAT_TURN_DIR"


def turn_folder() -> Path:
    """Return $LOWLAT_TURN_DIR, or a folder of this user alone in shared memory; made where it is missing.

    Raises:
        ConfigurationError: If it cannot be had, or somebody else could exchange what is in it.
    """
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else MEMORY / f"lowlat_turns_{os.geteuid()}"
    return trusted_folder(folder, "turn", VARIABLE, make=True)
