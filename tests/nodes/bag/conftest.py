# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def node() -> Iterator[Any]:
    """The node of a recorder or a player, which nobody spins."""
    from lowlat_nodes.nodes.bag.node import bag_node

    with bag_node("bag") as made:
        yield made


@pytest.fixture
def outside() -> Iterator[Any]:
    """A node of the rest of the robot."""
    from lowlat_nodes.nodes.bag.node import bag_node

    with bag_node("outside") as made:
        yield made


@pytest.fixture
def stop() -> Iterator[Any]:
    """What ends a recording or a playback."""
    from lowlat_nodes.nodes.stop import StopRequest

    request = StopRequest()
    yield request
    request.close()
