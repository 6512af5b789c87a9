# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every Triton kernel compiles for GPUs that are not here, and keeps to the registers that they have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowlat_nodes.kernels.compile import ARCHITECTURES
from lowlat_nodes.kernels.registry import load_all

pytestmark = [pytest.mark.triton, pytest.mark.torch]

SPILLING = """
import triton, triton.language as tl
from lowlat_nodes.kernels.compile import Compilation, compile_for

@triton.jit
def _greedy(numbers, out, N: tl.constexpr):
    i = tl.arange(0, N)
    held = tl.load(numbers + i)
    tl.store(out + i, held - tl.sum(held))

compilation = Compilation(_greedy, {"numbers": "*fp32", "out": "*fp32"}, {"N": 16384}, {"num_warps": 1})
print(compile_for(compilation, 90).spilled_bytes)
"""


def compiled(*command: str) -> str:
    """Run a program that may compile: here Triton interprets."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_every_kernel_compiles_for_every_gpu_and_spills_nothing() -> None:
    found = json.loads(compiled("-m", "lowlat_nodes.cli.main", "kernels", "--compile", "--json"))
    expected = {name for name, op in load_all().items() if op.cuda is not None}
    assert expected
    assert {(each["op"], each["architecture"]) for each in found} == {
        (name, architecture) for name in expected for architecture in ARCHITECTURES
    }
    assert [each for each in found if each["spilled_bytes"]] == []
    assert all(0 < each["registers"] <= 255 and each["cubin_bytes"] for each in found)


def test_a_kernel_that_takes_more_registers_than_there_are_is_noticed(tmp_path: Path) -> None:
    program = tmp_path / "spilling.py"  # Triton reads the source of a kernel from its file
    program.write_text(SPILLING)
    assert int(compiled(str(program))) > 0
