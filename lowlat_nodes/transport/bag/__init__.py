# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded ROS 2 bags, read and written without ROS."""

from __future__ import annotations

from lowlat_nodes.transport.bag.errors import BagError, TypeUnknown
from lowlat_nodes.transport.bag.reader import BagReader
from lowlat_nodes.transport.bag.record import Recorded, Topic

__all__ = ["BagError", "BagReader", "Recorded", "Topic", "TypeUnknown"]
