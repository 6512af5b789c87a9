# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX Runtime session with its inputs, outputs and metadata checked once, at load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.fold import fold
from lowlat_nodes.inference.image_input import ImageInput, fixed_shapes
from lowlat_nodes.inference.model import Signature, TensorSpec
from lowlat_nodes.inference.onnx_binding import Binding
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Each provider that can be asked for, and what ONNX Runtime calls it."""

_GPU_PACKAGE = "onnxruntime-gpu"
_TF32_OPTION_SINCE = (1, 18)
_ERRORS = 3  # of ONNX Runtime's levels of messages
_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class OnnxModel:
    """A loaded graph.

    On a graphics card inputs and outputs of known sizes stay at the same addresses from run to run.

    Args:
        path: An .onnx file.
        threads: Threads within an operator; 0 lets ONNX Runtime decide.
        spinning: Whether threads of one run wait for each other by spinning; between runs they never do.
        provider: Where it runs: cpu, cuda or tensorrt.
        precision: fp32, which leaves the graph as it is; fp16 with tensorrt.
        cuda_graph: Record the work of a graphics card once and replay it; for graphs without open sizes.
        engines: Folder in which TensorRT keeps what it built; it is made if it does not exist.
        image: The image input, to fix open sizes by.
        folded: Whether `image` is taken as uint8 [1, height, width, 3] and normalised in the graph.
        profile: How the name of a file begins that ONNX Runtime writes its own profile to; see
            `end_profiling`.
        optimised: File to write the graph to as it is run here, with operators fused, for `open_as_it_is`.

    Raises:
        ConfigurationError: If the file is missing, no ONNX graph, or uses types that nothing here can feed;
            if the image does not fit it; if the provider is not there or cannot do what is asked.
        MissingExtra: If onnxruntime, or onnx where it is needed to fold, is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        spinning: bool = False,
        provider: str = "cpu",
        precision: str = "fp32",
        cuda_graph: bool = False,
        engines: Path | None = None,
        image: ImageInput | None = None,
        folded: bool = False,
        profile: Path | None = None,
        optimised: Path | None = None,
    ) -> None:
        onnxruntime = _onnxruntime()
        _check_provider(onnxruntime, provider, precision)
        options = _options(threads, spinning, profile)
        if optimised is not None:
            options.optimized_model_filepath = os.fspath(optimised)
            options.log_severity_level = _ERRORS  # that it is for this machine only is meant
        renamed: dict[str, str] = {}
        source: Path | bytes = path
        if image is not None:
            _fix_open_sizes(options, path, image)
            if folded:
                source, renamed[image.name] = fold(path, image)
        chain = _providers(provider, precision, cuda_graph, engines, onnxruntime.__version__)
        self._session = _load(path, source, options, chain)
        if (runs_on := self._session.get_providers()[0]) != PROVIDERS[provider]:
            raise ConfigurationError(
                f"provider {provider}: ONNX Runtime could not start it and took {runs_on}; expected the "
                f"CUDA, cuDNN and TensorRT libraries that this {_GPU_PACKAGE} was built for"
            )
        self._renamed = renamed
        originals = {new: old for old, new in renamed.items()}
        found = _signature(path, self._session)
        self.path = path
        self.inputs = {
            (name := originals.get(key, key)): TensorSpec(name, item.shape, item.dtype)
            for key, item in found.inputs.items()
        }
        self.outputs = found.outputs
        self.metadata = found.metadata
        self._binding: Binding | None = None
        if provider != "cpu" and Binding.fits(found):
            self._binding = Binding(self._session, found, "cuda")

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run the graph once; shapes and dtypes are the caller's promise, checked by ONNX Runtime."""
        given = {self._renamed.get(name, name): array for name, array in feed.items()}
        if self._binding is not None:
            return self._binding.run(given, outputs)
        result: list[np.ndarray] = self._session.run(outputs, given)
        return result

    @property
    def profiling_began_ns(self) -> int:
        """Return when the times in the profile begin, by `time.time_ns` or by `time.monotonic_ns`.

        Which of them it is, is a matter of the build.
        """
        return int(self._session.get_profiling_start_time_ns())

    def end_profiling(self) -> Path:
        """Write the profile of all runs of a model that was loaded with `profile`, and return its file."""
        return Path(self._session.end_profiling())


def read_signature(path: Path) -> Signature:
    """Return what an .onnx file says of itself, without making it ready to run fast.

    Raises:
        ConfigurationError: As `OnnxModel` does.
    """
    return _signature(path, _plain_session(path))


def open_as_it_is(
    content: bytes, *, threads: int = 1, spinning: bool = False, profile: Path | None = None
) -> Any:
    """Return a session on the CPU that changes nothing about a graph: it, or what it is of, is optimised.

    Args:
        content: The graph, serialised.
        threads: As for `OnnxModel`.
        spinning: As for `OnnxModel`.
        profile: Beginning of the name of a file for the time of each node; the end of profiling completes it.
    """
    onnxruntime = _onnxruntime()
    options = _options(threads, spinning, profile)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=[PROVIDERS["cpu"]])


def available_providers() -> list[str]:
    """Return which of `PROVIDERS` the installed ONNX Runtime was built with, none if it is not installed."""
    try:
        offered = _onnxruntime().get_available_providers()
    except MissingExtra:
        return []
    return [name for name, provider in PROVIDERS.items() if provider in offered]


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime") from error
    return onnxruntime


def _options(threads: int, spinning: bool, profile: Path | None) -> Any:
    options = _onnxruntime().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning workers take the cores from the control loop for nothing between two inferences.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = os.fspath(profile)
    return options


def _check_provider(onnxruntime: Any, provider: str, precision: str) -> None:
    if provider not in PROVIDERS:
        raise ConfigurationError(f"provider: expected one of {', '.join(PROVIDERS)}, got {provider!r}")
    if precision not in {"fp32", "fp16"} or (precision == "fp16" and provider != "tensorrt"):
        raise ConfigurationError(
            f"precision: ONNX Runtime on {provider} computes in that of the file; expected fp32, or fp16 "
            f"with provider tensorrt, got {precision!r}"
        )
    offered = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in offered:
        raise ConfigurationError(
            f"provider {provider}: expected an ONNX Runtime with {PROVIDERS[provider]}, the installed "
            f"{onnxruntime.__version__} has {', '.join(offered)}; install {_GPU_PACKAGE} in place of it"
        )


def _providers(
    provider: str, precision: str, cuda_graph: bool, engines: Path | None, version: str
) -> list[tuple[str, dict[str, str]]]:
    """Return what ONNX Runtime is to run operators on, by falling preference."""
    cpu: tuple[str, dict[str, str]] = (PROVIDERS["cpu"], {})
    if provider == "cpu":
        return [cpu]
    cuda = {"enable_cuda_graph": str(int(cuda_graph and provider == "cuda"))}
    if tuple(int(part) for part in version.split(".")[:2]) >= _TF32_OPTION_SINCE:
        cuda["use_tf32"] = "0"  # 10 bits of mantissa are not fp32
    chain = [(PROVIDERS["cuda"], cuda), cpu]
    if provider == "tensorrt":
        tensorrt = {
            "trt_fp16_enable": str(int(precision == "fp16")),
            "trt_cuda_graph_enable": str(int(cuda_graph)),
        }
        if engines is not None:
            engines.mkdir(mode=0o700, parents=True, exist_ok=True)
            tensorrt |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(engines),
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": str(engines),
            }
        chain.insert(0, (PROVIDERS["tensorrt"], tensorrt))
    return chain


def _fix_open_sizes(options: Any, path: Path, image: ImageInput) -> None:
    """Tell ONNX Runtime the sizes that the file leaves open, where it names them."""
    session = _plain_session(path)
    shapes = fixed_shapes(path, _signature(path, session).inputs, image)
    for item in session.get_inputs():
        for size, fixed in zip(item.shape, shapes[item.name], strict=True):
            if isinstance(size, str) and fixed:
                options.add_free_dimension_override_by_name(size, fixed)


def _plain_session(path: Path) -> Any:
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _load(path, path, options, [(PROVIDERS["cpu"], {})])


def _load(path: Path, source: Path | bytes, options: Any, chain: list[tuple[str, dict[str, str]]]) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"expected an ONNX file, found nothing at {path}")
    given = os.fspath(source) if isinstance(source, Path) else source
    try:
        return _onnxruntime().InferenceSession(given, options, providers=chain)
    except Exception as error:  # ONNX Runtime raises types of its own for every kind of bad file
        raise ConfigurationError(f"{path} is not a model that ONNX Runtime can load: {error}") from error


def _signature(path: Path, session: Any) -> Signature:
    return Signature(
        {item.name: _spec(path, item) for item in session.get_inputs()},
        {item.name: _spec(path, item) for item in session.get_outputs()},
        dict(session.get_modelmeta().custom_metadata_map),
    )


def _spec(path: Path, item: Any) -> TensorSpec:
    if item.type not in _DTYPES:
        raise ConfigurationError(
            f"{path}: {item.name!r} is a {item.type}; expected one of {', '.join(_DTYPES)}"
        )
    shape = tuple(size if isinstance(size, int) else 0 for size in item.shape)
    return TensorSpec(item.name, shape, _DTYPES[item.type])
