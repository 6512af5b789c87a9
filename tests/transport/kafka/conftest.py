# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A cluster that the tests of a module share: the one that KAFKA_BOOTSTRAP names, or the library's mock."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowlat_nodes.transport.kafka.mock_cluster import running
from lowlat_nodes.transport.kafka.settings import BOOTSTRAP_VARIABLE

# So that tests can import the module that they share.
sys.path.insert(0, str(Path(__file__).parent))

from kafka_cluster import Cluster


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    pytest.importorskip("confluent_kafka")
    named = os.environ.get(BOOTSTRAP_VARIABLE)
    if named:
        yield named
        return
    with running({}) as mock:
        yield mock.bootstrap


@pytest.fixture
def cluster(brokers: str) -> Cluster:
    return Cluster(brokers, f"t{uuid.uuid4().hex[:12]}")
