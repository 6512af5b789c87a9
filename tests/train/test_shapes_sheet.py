# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from lowlat_nodes.train import shapes_sheet


@pytest.mark.photographs
def test_the_picture_is_written_and_small_enough_for_a_page(tmp_path: Path) -> None:
    path = tmp_path / "shapes.jpg"
    assert shapes_sheet.main([str(path)]) == 0
    assert path.stat().st_size <= 300_000
    assert cv2.imread(str(path)).shape == (3 * 324 - 4, 4 * 324 - 4, 3)
