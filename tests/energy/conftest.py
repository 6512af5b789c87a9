# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of energy share: a driver without a GPU below the real nvidia-ml-py, meters that obey."""

from __future__ import annotations

import _ctypes
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "meters"))
from fake_driver import FakeDriver, build


@pytest.fixture(scope="session")
def fake_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake libnvidia-ml.so.1, in a folder of its own."""
    return build(tmp_path_factory.mktemp("fake_nvml"))


@pytest.fixture
def fake_nvml(
    fake_nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeDriver]:
    """The fake, loaded into this process under the name that nvidia-ml-py asks for."""
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed (extra: energy)")
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "fake_nvml.txt"))
    fake = FakeDriver(tmp_path / "fake_nvml.txt")
    library = ctypes.CDLL(str(fake_nvml_library), ctypes.RTLD_GLOBAL)
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    pynvml.nvmlInit()
    assert "FAKE" in pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0)), (
        "a real driver was loaded first"
    )
    pynvml.nvmlShutdown()
    yield fake
    _ctypes.dlclose(pynvml.nvmlLib._handle)
    _ctypes.dlclose(library._handle)
