# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded ROS 2 bags: read, written, compared and run through a processor, all without ROS."""

from __future__ import annotations

from lowlat_nodes.transport.bag.codec import Codec
from lowlat_nodes.transport.bag.compare import Comparison, Difference, Tolerance, compare
from lowlat_nodes.transport.bag.errors import BagError, DiskError, TypeUnknown
from lowlat_nodes.transport.bag.offline import OfflineReplay, OfflineRun
from lowlat_nodes.transport.bag.reader import BagReader
from lowlat_nodes.transport.bag.record import Recorded, Topic
from lowlat_nodes.transport.bag.tally import Tally
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.bag.writer import BagWriter

__all__ = [
    "BagError",
    "BagReader",
    "BagWriter",
    "Codec",
    "Comparison",
    "Difference",
    "DiskError",
    "MessageTypes",
    "OfflineReplay",
    "OfflineRun",
    "Recorded",
    "Tally",
    "Tolerance",
    "Topic",
    "TypeUnknown",
    "compare",
]
