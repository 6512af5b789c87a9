# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Libraries that run models do not report to their makers, nor leave anything behind in a home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MARKS_OF_CI = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL")  # where OpenVINO is silent anyway


@pytest.mark.parametrize(
    "model",
    [
        "lowlat_nodes.inference.onnx.OnnxModel",
        pytest.param("lowlat_nodes.inference.openvino.OpenVinoModel", marks=pytest.mark.openvino),
    ],
)
def test_a_loaded_model_leaves_no_trace(model: str, network: Callable[..., Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    module, _, name = model.rpartition(".")
    script = f"from pathlib import Path; from {module} import {name}; {name}(Path({str(network())!r}))"
    environment = {key: value for key, value in os.environ.items() if key not in MARKS_OF_CI}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120.0)
    assert not list(home.rglob("*"))
