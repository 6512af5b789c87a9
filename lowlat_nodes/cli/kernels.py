# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat kernels`: which operations run how on this machine, and what their GPU kernels take of a GPU."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lowlat_nodes.kernels.compile import ARCHITECTURES, compilations, compile_for
from lowlat_nodes.kernels.registry import CPU, CUDA, REF, Implementation, Op, load_all
from lowlat_nodes.stream.errors import MissingExtra

EXIT_SPILLS = 1


def main(argv: Sequence[str]) -> int:
    """List the operations, or compile their GPU kernels without a GPU.

    Returns:
        0; with `--compile`, 1 if a kernel needs more registers than there are.
    """
    parser = argparse.ArgumentParser(prog="lowlat kernels", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--compile", action="store_true",
        help=f"compile every GPU kernel for {', '.join(ARCHITECTURES.values())}; needs no GPU",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.compile:
        return _compile(as_json=options.json)
    ops = load_all()
    if options.json:
        print(json.dumps({name: _plain(op) for name, op in sorted(ops.items())}))
        return 0
    for name, op in sorted(ops.items()):
        print(name)
        for device, each in _implementations(op):
            missing = _missing(device, each)
            print(f"  {device:<5} {each.module:<20} {f'needs {missing}' if missing else 'runs here'}")
    return 0


def _missing(device: str, implementation: Implementation) -> str:
    """Return what an implementation needs and is not here; empty for nothing."""
    missing = implementation.missing()
    if device != CUDA or missing:
        return missing
    import torch

    return "" if torch.cuda.is_available() else "an NVIDIA GPU"


def _implementations(op: Op[..., object]) -> list[tuple[str, Implementation]]:
    found = [(REF, op.ref), *((CPU, each) for each in op.cpu)]
    return [*found, (CUDA, op.cuda)] if op.cuda else found


def _plain(op: Op[..., object]) -> list[dict[str, Any]]:
    return [
        {"device": device, "module": each.module, "missing": _missing(device, each)}
        for device, each in _implementations(op)
    ]


def _compile(*, as_json: bool) -> int:
    for name in ("torch", "triton"):
        if Implementation("", (name,)).missing():
            raise MissingExtra(name, name)
    found = [
        {
            "op": op,
            "kernel": compilation.kernel.__name__,
            "constants": {name: str(value) for name, value in compilation.constants.items()},
            "architecture": architecture,
            **asdict(compile_for(compilation, architecture)),
        }
        for op, compilation in compilations()
        for architecture in ARCHITECTURES
    ]
    if as_json:
        print(json.dumps(found))
    else:
        for each in found:
            print(
                f"{each['op']:<18} {each['kernel']:<24} sm_{each['architecture']}  "
                f"{each['registers']:>3} registers, {each['shared_bytes']:>6} bytes shared, "
                f"{each['spilled_bytes'] or 'nothing'} spilled"
            )
    return EXIT_SPILLS if any(each["spilled_bytes"] for each in found) else 0
