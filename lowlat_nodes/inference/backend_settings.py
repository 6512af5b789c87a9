# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of what runs a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lowlat_nodes.inference import openvino
from lowlat_nodes.inference.onnx import PROVIDERS
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError

KINDS: Mapping[str, tuple[str, ...]] = {
    "openvino": openvino.SUFFIXES,
    "onnxruntime": (".onnx",),
    "torch": (".pt",),
}
"""Each backend and the files that it runs."""


@dataclass(frozen=True)
class CalibrationSettings:
    """How the fastest way to run a model is found."""

    runs: int = setting(20, doc="Timed runs of each candidate.", low=1, high=1000)
    limit_s: float = setting(
        3.0, doc="Time after which no further turn is begun.", unit="s", low=0.0, high=600.0
    )
    cache: bool = setting(True, doc="Keep the result for the next start, in $XDG_CACHE_HOME/lowlat_nodes.")


@dataclass(frozen=True)
class BackendSettings:
    """What runs a model; whatever is left open is timed when the node is configured."""

    kind: str = setting("auto", doc="The library.", choices=("auto", *KINDS))
    provider: str = setting(
        "auto",
        doc="What ONNX Runtime and PyTorch run on; auto tries no tensorrt, which builds for minutes.",
        choices=("auto", *PROVIDERS),
    )
    device: str = setting("CPU", doc="What OpenVINO compiles for: CPU, GPU or NPU.")
    threads: int = setting(0, doc="Threads within an operator; 0: to be timed.", low=0, high=1024)
    spinning: str = setting(
        "auto",
        doc="Threads of ONNX Runtime spin while they wait for each other; auto: timed if cores are free.",
        choices=("auto", "always", "never"),  # on and off are truth values in YAML
    )
    precision: str = setting(
        "fp32",
        doc="What floating-point operators compute in; auto: to be timed.",
        choices=("fp32", "auto", "bf16", "fp16"),
    )
    cuda_graph: bool = setting(
        False, doc="Record the work of a graphics card once and replay it; for models without open sizes."
    )
    calibration: CalibrationSettings = section(CalibrationSettings, doc="How it is timed.")

    def __post_init__(self) -> None:
        if self.kind == "openvino" and self.provider not in {"auto", "cpu"}:
            raise ConfigurationError(
                f"provider: {self.provider} is one of ONNX Runtime and PyTorch; kind openvino takes device"
            )
        if self.kind == "torch" and self.provider == "tensorrt":
            raise ConfigurationError("provider: expected auto, cpu or cuda with kind torch, got 'tensorrt'")


ONE_THREAD = BackendSettings(kind="onnxruntime", provider="cpu", threads=1, spinning="never")
"""Needs no more than the package itself and has nothing to time, so each start is the same."""
