# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory of a test's own, and processes that use it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lowlat_nodes.transport.abandoned import FOLDER

# So that tests can import the modules that they share.
sys.path.insert(0, str(Path(__file__).parent))

from shm_peers import PeerProcess


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in shared memory; what tests leave in it is freed."""
    with tempfile.TemporaryDirectory(prefix="lowlat-test-", dir=FOLDER) as name:
        yield Path(name)


@pytest.fixture
def peer(folder: Path) -> Iterator[Callable[[], PeerProcess]]:
    """Start processes of shm_peer.py; they end with the test."""
    started: list[PeerProcess] = []

    def start() -> PeerProcess:
        started.append(PeerProcess(folder))
        return started[-1]

    yield start
    for process in started:
        process.end()
