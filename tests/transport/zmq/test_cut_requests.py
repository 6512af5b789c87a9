# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Work and calls between hosts whose network is cut: both go on once it is back, and no work is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cut_network import NAMESPACE, namespaces

ROOT = Path(__file__).resolve().parents[3]
CUT = Path(__file__).parent / "cut_requests.py"


@pytest.mark.parametrize(("how", "cut_s"), [("near", 0.3), ("far", 3.0), ("lossy", 3.0)])
def test_after_a_network_was_cut_work_and_calls_go_on(how: str, cut_s: float) -> None:
    if reason := namespaces():
        pytest.skip(reason)
    command = [*NAMESPACE, sys.executable, str(CUT), str(cut_s), how]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr  # it waits for all that was lost on the way
    found = json.loads(done.stdout.splitlines()[-1])
    if cut_s > 2.0:
        assert found["outcomes"][-1] == "server_gone"
