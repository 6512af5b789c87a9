# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A model compiled by OpenVINO, with its inputs, outputs and metadata checked once, at load.

On CPUs with matrix units for bfloat16, OpenVINO computes a float32 model in bfloat16 unless it is told not
to; here it is always told.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.image_input import ImageInput, fixed_shapes
from lowlat_nodes.inference.model import Signature, TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

PRECISIONS: Mapping[str, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""Each precision of computation, and what OpenVINO calls it."""

SUFFIXES = (".onnx", ".xml")
_DTYPES: Mapping[str, type[np.generic]] = {
    "f32": np.float32,
    "f16": np.float16,
    "f64": np.float64,
    "u8": np.uint8,
    "i8": np.int8,
    "i32": np.int32,
    "i64": np.int64,
    "boolean": np.bool_,
}


class OpenVinoModel:
    """A compiled model with an inference request of its own.

    Args:
        path: An .onnx file, or the .xml of OpenVINO's own format.
        device: What to compile for, as OpenVINO names it: CPU, GPU, NPU.
        threads: Threads on a CPU; 0 lets OpenVINO decide.
        precision: What floating-point operators compute in: fp32, bf16 or fp16.
        image: The image input, to fix open sizes by.
        folded: Whether `image` is taken as uint8 [1, height, width, 3] and normalised in the graph.

    Raises:
        ConfigurationError: If the file is missing, no model, or uses types that nothing here can feed; if the
            image does not fit it; if the device is not there or has not that precision.
        MissingExtra: If OpenVINO is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "CPU",
        threads: int = 1,
        precision: str = "fp32",
        image: ImageInput | None = None,
        folded: bool = False,
    ) -> None:
        openvino = _openvino()
        core = openvino.Core()
        if precision not in (offered := precisions(device)):
            raise ConfigurationError(
                f"precision: expected one of {', '.join(offered)} on {device}, got {precision!r}"
            )
        graph = _read(core, path)
        self.metadata = _metadata(graph)
        if image is not None:
            shapes = fixed_shapes(path, _specs(path, graph.inputs), image)
            graph = _with_image(openvino, path, graph, image, shapes, folded)
        try:
            self.compiled = core.compile_model(graph, device, _options(core, device, threads, precision))
        except RuntimeError as error:
            raise ConfigurationError(
                f"{path}: OpenVINO cannot compile it for {device} in {precision}: {_last(error)}"
            ) from error
        self.path = path
        self.inputs = _specs(path, self.compiled.inputs)
        self.outputs = _specs(path, self.compiled.outputs)
        self._ports = {_name(port): port for port in (*self.compiled.inputs, *self.compiled.outputs)}
        self._tensor = openvino.Tensor
        self._request = self.compiled.create_infer_request()
        # OpenVINO reads the caller's arrays; they must live until the run is over.
        self._feed: dict[str, np.ndarray] = {}

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run the model once; shapes and dtypes are the caller's promise.

        The inputs are read where they are if they are contiguous and writeable, which OpenVINO asks for.

        Returns:
            Views of the request's own memory, overwritten by the next run.

        Raises:
            RuntimeError: If OpenVINO says that the promise is not kept.
        """
        for name in self.inputs:
            self._feed[name] = np.require(feed[name], requirements=["C", "W"])
            self._request.set_tensor(self._ports[name], self._tensor(self._feed[name], shared_memory=True))
        self._request.infer()
        return [self._request.get_tensor(self._ports[name]).data for name in outputs]


def read_signature(path: Path) -> Signature:
    """Return what a model file says of itself, without compiling it.

    Raises:
        ConfigurationError: If the file is missing, no model, or uses types that nothing here can feed.
        MissingExtra: If OpenVINO is not installed.
    """
    graph = _read(_openvino().Core(), path)
    return Signature(_specs(path, graph.inputs), _specs(path, graph.outputs), _metadata(graph))


def is_installed() -> bool:
    """Return whether OpenVINO can be imported."""
    try:
        _openvino()
    except MissingExtra:
        return False
    return True


def precisions(device: str) -> list[str]:
    """Return the precisions that a device computes in by itself, fp32 first.

    Raises:
        ConfigurationError: If the device is not there.
        MissingExtra: If OpenVINO is not installed.
    """
    core = _openvino().Core()
    try:
        offered = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise ConfigurationError(
            f"device: expected one of {', '.join(core.available_devices)}, got {device!r}: {_last(error)}"
        ) from error
    return [name for name in PRECISIONS if name == "fp32" or name.upper() in offered]


def _openvino() -> Any:
    """Import OpenVINO without its package that reports each import to its makers."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # is as good as missing
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino") from error
    return openvino


def _read(core: Any, path: Path) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"expected a model, found nothing at {path}")
    # OpenVINO would try the readers of all frameworks on a file of another name.
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: expected a file that ends with {' or '.join(SUFFIXES)}")
    try:
        return core.read_model(path)
    except RuntimeError as error:
        raise ConfigurationError(f"{path} is not a model that OpenVINO can read: {_last(error)}") from error


def _metadata(graph: Any) -> dict[str, str]:
    """Return the metadata of an ONNX file, which OpenVINO keeps in its own files too."""
    if not graph.has_rt_info("framework"):
        return {}
    return {str(key): str(value.value) for key, value in graph.get_rt_info()["framework"].items()}


def _with_image(
    openvino: Any,
    path: Path,
    graph: Any,
    image: ImageInput,
    shapes: Mapping[str, tuple[int, ...]],
    folded: bool,
) -> Any:
    """Return the graph with fixed sizes and, if asked for, with the normalisation in front."""
    try:
        graph.reshape({name: [size or -1 for size in shape] for name, shape in shapes.items()})
    except RuntimeError as error:
        raise ConfigurationError(
            f"{path}: {image.name!r} cannot take {list(image.shape)}: {_last(error)}"
        ) from error
    if not folded:
        return graph
    steps = openvino.preprocess.PrePostProcessor(graph)
    pixels = steps.input(image.name)
    pixels.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    pixels.model().set_layout(openvino.Layout("NCHW"))
    pixels.preprocess().convert_element_type(openvino.Type.f32).mean(list(image.mean)).scale(list(image.std))
    return steps.build()


def _options(core: Any, device: str, threads: int, precision: str) -> dict[str, Any]:
    wanted = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        # A pinned thread cannot leave a core that a control loop has just taken.
        "ENABLE_CPU_PINNING": False,
    }
    access = core.get_property(device, "SUPPORTED_PROPERTIES")
    return {name: value for name, value in wanted.items() if access.get(name) == "RW"}


def _specs(path: Path, ports: Any) -> dict[str, TensorSpec]:
    specs = {}
    for port in ports:
        kind = port.get_element_type().get_type_name()
        name = _name(port)
        if kind not in _DTYPES:
            raise ConfigurationError(f"{path}: {name!r} is of {kind}; expected one of {', '.join(_DTYPES)}")
        shape = tuple(size.get_length() if size.is_static else 0 for size in port.get_partial_shape())
        specs[name] = TensorSpec(name, shape, _DTYPES[kind])
    return specs


def _name(port: Any) -> str:
    return str(port.get_any_name() if port.get_names() else port.get_node().get_friendly_name())


def _last(error: RuntimeError) -> str:
    """Return the line of an error of OpenVINO's that says what is wrong; the others say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "it does not say why"
