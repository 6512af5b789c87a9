# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector of coloured cells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def cell_model(tmp_path: Path) -> Path:
    """The file of a detector that can be quantised."""
    pytest.importorskip("onnx")
    from cell_detector import write_cell_detector

    return write_cell_detector(tmp_path / "cells.onnx")
