# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot datasets of format v3.0: written and read without LeRobot, frame by frame."""

from __future__ import annotations

from lowlat_nodes.transport.dataset.errors import DatasetError
from lowlat_nodes.transport.dataset.layout import Layout
from lowlat_nodes.transport.dataset.reader import DatasetReader, Episode, Frame
from lowlat_nodes.transport.dataset.writer import DatasetWriter

__all__ = ["DatasetError", "DatasetReader", "DatasetWriter", "Episode", "Frame", "Layout"]
