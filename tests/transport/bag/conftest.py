# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages for small bags."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# So that tests can import the module that they share.
sys.path.insert(0, str(Path(__file__).parent))

from bag_forms import START_NS, STEP_NS, Bag, text


@pytest.fixture
def messages() -> Bag:
    """Forty messages of two topics; every fifth came a step earlier than its place in the file says."""
    stamps = [START_NS + STEP_NS * (index - (index % 5 == 4)) for index in range(40)]
    return [text(("/a", "/b")[index % 2], stamp, f"message {index}") for index, stamp in enumerate(stamps)]


@pytest.fixture
def ordered(messages: Bag) -> Bag:
    """The same messages as a reader yields them."""
    return sorted(messages, key=lambda message: message.stamp_ns)
