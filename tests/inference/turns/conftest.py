# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder for devices of a test's own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# So that tests can import the modules that they share.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in shared memory, where nodes meet; what tests leave in it is freed."""
    with tempfile.TemporaryDirectory(prefix="lowlat-test-", dir="/dev/shm") as name:
        yield Path(name)
