# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector that is made here and looks at images."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def spot_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a detector that finds spots; what is calibrated for it is not kept."""
    pytest.importorskip("onnx")
    from spot_detector import write_spot_detector

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_spot_detector(tmp_path / "spots.onnx")
