# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Compiles Triton kernels for GPUs that need not be there, and reads what they would take of them."""

from __future__ import annotations

import importlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.registry import load_all

ARCHITECTURES = {87: "Jetson Orin", 90: "H100", 100: "B200"}
"""Compute capabilities, times ten, that every kernel is compiled for."""

_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


@dataclass(frozen=True)
class Compilation:
    """One way in which a kernel is compiled: its module lists them as `COMPILATIONS`.

    Attributes:
        kernel: The function that `triton.jit` made.
        signature: The Triton type of each argument that is no constant, such as `*fp16` or `i32`.
        constants: The values of the `tl.constexpr` arguments.
        options: For the compiler: `num_warps`, `num_stages`.
        aligned: Pointers that are multiples of 16 bytes, as those of whole tensors are.
    """

    kernel: Any
    signature: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, int] = field(default_factory=dict)
    aligned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What one thread, and one block, of a compiled kernel take.

    Attributes:
        registers: Of a thread.
        spilled_bytes: Stack and local memory of a thread: registers that did not suffice.
        shared_bytes: Of a block.
        cubin_bytes: Of the program.
    """

    registers: int
    spilled_bytes: int
    shared_bytes: int
    cubin_bytes: int


def compile_for(compilation: Compilation, architecture: int) -> Usage:
    """Compile a kernel; needs Triton, and no GPU.

    Args:
        compilation: What to compile.
        architecture: As in `ARCHITECTURES`.

    Raises:
        RuntimeError: If the programs that come with Triton say something unexpected.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = compilation.kernel.arg_names
    signature = {
        name: "constexpr" if name in compilation.constants else compilation.signature[name] for name in names
    }
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in compilation.aligned}
    constants = {(names.index(name),): value for name, value in compilation.constants.items()}
    source = ASTSource(compilation.kernel, signature, constants, attributes)
    options = {"enable_fp_fusion": True, **compilation.options}  # as launches have it
    made = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    cubin = made.asm["cubin"]
    registers, stack, local = _usage(cubin)
    return Usage(registers, stack + local, int(made.metadata.shared), len(cubin))


def _usage(cubin: bytes) -> tuple[int, int, int]:
    """Return registers, stack and local bytes of the only function of a program."""
    import triton

    program = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run(
            [str(program), "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    found = _USAGE.search(text)
    if found is None:
        raise RuntimeError(f"cuobjdump says nothing of registers: {text[:500]!r}")
    registers, stack, _, local = map(int, found.groups())
    return registers, stack, local


def compilations() -> Iterator[tuple[str, Compilation]]:
    """Yield the operation and each way in which its kernels are compiled; needs torch and Triton.

    Raises:
        BadArgument: In a process in which Triton interprets: such kernels cannot be compiled.
    """
    for name, op in sorted(load_all().items()):
        if op.cuda is None:
            continue
        module = importlib.import_module(f"{op.package}.{op.cuda.module}")
        for each in module.COMPILATIONS:
            if not hasattr(each.kernel, "cache_key"):
                raise BadArgument("Triton interprets in this process; unset TRITON_INTERPRET to compile")
            yield name, each
