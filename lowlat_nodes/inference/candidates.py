# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ways in which this machine can run a model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.inference import onnx, openvino, torchscript
from lowlat_nodes.inference.backend_settings import KINDS, BackendSettings
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model
from lowlat_nodes.resources import cache_folder
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

_MOST_THREADS_TRIED = 4
_SPARE = 0.5  # of a core: what a calm machine's load average is not above


@dataclass(frozen=True)
class Candidate:
    """A way to run a model.

    Attributes:
        backend: onnxruntime, openvino or torch.
        device: cpu, cuda, tensorrt, or a device of OpenVINO's.
        threads: Threads within an operator.
        spinning: Whether they spin while they wait for each other.
        precision: fp32, bf16 or fp16.
        folded: Whether it takes uint8 pixels.
    """

    backend: str
    device: str = "cpu"
    threads: int = 1
    spinning: bool = False
    precision: str = "fp32"
    folded: bool = False

    def describe(self) -> str:
        """Return it in a few words."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        spinning = ", spinning" if self.spinning else ""
        return f"{self.backend} on {self.device}, {threads}{spinning}, {self.precision}"


def candidates(
    path: Path,
    settings: BackendSettings,
    image: ImageInput | None,
    *,
    cores: int,
    load_average: float,
) -> list[Candidate]:
    """Return the ways to run a model that the parameters, the file and what is installed allow.

    Args:
        path: The model; its suffix counts.
        settings: The parameters.
        image: The image input, if it has one.
        cores: How many this process may use.
        load_average: Of the machine; threads that spin are tried only on cores that are free.

    Raises:
        ConfigurationError: If there is none.
        MissingExtra: If the library that was asked for is not installed.
    """
    fitting = [kind for kind, suffixes in KINDS.items() if path.suffix in suffixes]
    if settings.kind != "auto" and settings.kind not in fitting:
        raise ConfigurationError(
            f"kind: {settings.kind} runs {' and '.join(KINDS[settings.kind])} files, got {path.name}"
        )
    if not fitting:
        known = ", ".join(sorted({suffix for suffixes in KINDS.values() for suffix in suffixes}))
        raise ConfigurationError(f"{path}: expected a model that ends with one of {known}")
    kinds = [settings.kind] if settings.kind != "auto" else fitting
    makers: dict[str, Callable[[], list[Candidate]]] = {
        "openvino": lambda: _openvino_candidates(settings, image, cores, alone=len(kinds) == 1),
        "onnxruntime": lambda: _onnx_candidates(settings, image, cores, load_average),
        "torch": lambda: _torch_candidates(settings, cores),
    }
    found = [candidate for kind in kinds for candidate in makers[kind]()]
    if not found:
        raise ConfigurationError(
            f"nothing computes in {settings.precision} with kind {settings.kind} and provider "
            f"{settings.provider}; expected precision fp32, bf16 or fp16 with openvino where its device has "
            f"it, or fp16 with provider tensorrt"
        )
    return found


def open_model(
    path: Path, candidate: Candidate, image: ImageInput | None = None, *, cuda_graph: bool = False
) -> Model:
    """Load a model in one way.

    Raises:
        ConfigurationError: If that does not work here.
        MissingExtra: If the library is not installed.
    """
    if candidate.backend == "openvino":
        return openvino.OpenVinoModel(
            path,
            device=candidate.device,
            threads=candidate.threads,
            precision=candidate.precision,
            image=image,
            folded=candidate.folded,
        )
    if candidate.backend == "torch":
        return torchscript.TorchModel(path, threads=candidate.threads, device=candidate.device)
    return onnx.OnnxModel(
        path,
        threads=candidate.threads,
        spinning=candidate.spinning,
        provider=candidate.device,
        precision=candidate.precision,
        cuda_graph=cuda_graph,
        engines=cache_folder() / "tensorrt" if candidate.device == "tensorrt" else None,
        image=image,
        folded=candidate.folded,
    )


def _thread_counts(settings: BackendSettings, cores: int) -> list[int]:
    if settings.threads:
        return [settings.threads]
    return sorted({count for count in (1, 2, min(cores, _MOST_THREADS_TRIED)) if count <= cores})


def _precisions(wanted: str, offered: list[str]) -> list[str]:
    return offered if wanted == "auto" else [wanted] if wanted in offered else []


def _openvino_candidates(
    settings: BackendSettings, image: ImageInput | None, cores: int, *, alone: bool
) -> list[Candidate]:
    if not alone and (not openvino.is_installed() or settings.provider not in {"auto", "cpu"}):
        return []
    counts = _thread_counts(settings, cores) if settings.device.startswith("CPU") else [settings.threads or 1]
    return [
        Candidate("openvino", settings.device, threads, False, precision, image is not None)
        for precision in _precisions(settings.precision, openvino.precisions(settings.device))
        for threads in counts
    ]


def _onnx_candidates(
    settings: BackendSettings, image: ImageInput | None, cores: int, load_average: float
) -> list[Candidate]:
    wanted = settings.provider
    providers = [wanted] if wanted != "auto" else ["cpu", *({"cuda"} & set(onnx.available_providers()))]
    found = []
    for provider in providers:
        offered = ["fp32", "fp16"] if provider == "tensorrt" else ["fp32"]
        # On a CPU the step to float32 costs the same outside of the graph.
        folded = provider != "cpu" and image is not None and importlib.util.find_spec("onnx") is not None
        ways = (
            _thread_ways(settings, cores, load_average)
            if provider == "cpu"
            else [(settings.threads or 1, False)]
        )
        found += [
            Candidate("onnxruntime", provider, threads, spinning, precision, folded)
            for precision in _precisions(settings.precision, offered)
            for threads, spinning in ways
        ]
    return found


def _thread_ways(settings: BackendSettings, cores: int, load_average: float) -> list[tuple[int, bool]]:
    """Return numbers of threads, and whether they spin; one thread has none to wait for."""
    free = cores - load_average + _SPARE
    ways = []
    for threads in _thread_counts(settings, cores):
        if settings.spinning != "always" or threads == 1:
            ways.append((threads, False))
        if threads > 1 and (
            settings.spinning == "always" or (settings.spinning == "auto" and threads <= free)
        ):
            ways.append((threads, True))
    return ways


def _torch_candidates(settings: BackendSettings, cores: int) -> list[Candidate]:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "torch") from error
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if settings.provider != "auto":
        devices = [settings.provider]
    return [
        Candidate("torch", device, threads, False, precision)
        for precision in _precisions(settings.precision, ["fp32"])
        for device in devices
        for threads in (_thread_counts(settings, cores) if device == "cpu" else [settings.threads or 1])
    ]
