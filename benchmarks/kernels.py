# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernels: each fused operation against what one would write without it, and jobs that share a device.

docs/kernels.md explains the figures. With `--device cuda` the parts that need a GPU are measured there.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

# Each has `measure(quick: bool, device: str) -> dict`, with the fields of the result.
PARTS = {
    "letterbox": "lowlat_nodes.benchmarks._kernels_letterbox",
    "detections": "lowlat_nodes.benchmarks._kernels_detections",
    "gaussian_process": "lowlat_nodes.benchmarks._kernels_gaussian_process",
    "flow": "lowlat_nodes.benchmarks._kernels_flow",
    "graphed": "lowlat_nodes.benchmarks._kernels_graphed",
    "profile": "lowlat_nodes.benchmarks._kernels_profile",
    "segments": "lowlat_nodes.benchmarks._kernels_segments",
    "cutting": "lowlat_nodes.benchmarks._kernels_cutting",
}
_DISTRIBUTIONS = ("numpy", "opencv-python-headless", "numba", "torch", "triton", "george", "onnxruntime")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and print their fields."""
    parser = argparse.ArgumentParser(prog="lowlat bench kernels", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="run only this one; repeatable")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes, and rougher figures"
    )
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {"device": _device(options.device)}
    for part in dict.fromkeys(options.part or PARTS):
        module = importlib.import_module(PARTS[part])
        print(f"{part}: {(module.__doc__ or '').splitlines()[0]}", file=sys.stderr, flush=True)
        figures |= module.measure(quick=options.quick, device=options.device)
    figures["machine"] = {
        "cpus": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **_versions(),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key}: {json.dumps(value)}")
    return 0


def _device(name: str) -> str:
    """Return what the figures are of."""
    if name == "cpu":
        return "cpu"
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "torch") from error
    if not torch.cuda.is_available():
        raise ConfigurationError(
            f"--device cuda: PyTorch {torch.__version__} sees no NVIDIA GPU here; run it where there is one"
        )
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, compute capability {properties.major}.{properties.minor}"


def _versions() -> dict[str, str]:
    installed = {each.name.lower(): each.version for each in importlib.metadata.distributions()}
    return {name: installed.get(name, "") for name in _DISTRIBUTIONS}


if __name__ == "__main__":
    sys.exit(main())
