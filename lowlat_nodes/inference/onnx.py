# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX Runtime session with its inputs, outputs and metadata checked once, at load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

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

    Args:
        path: An .onnx file.
        threads: Threads within an operator; 0 lets ONNX Runtime decide.

    Raises:
        ConfigurationError: If the file is missing, no ONNX graph, or uses types that nothing here can feed.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra("onnxruntime") from error
        if not path.is_file():
            raise ConfigurationError(f"expected an ONNX file, found nothing at {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning workers take the cores from the control loop for nothing between two inferences.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises types of its own for every kind of bad file
            raise ConfigurationError(f"{path} is not a model that ONNX Runtime can load: {error}") from error
        self.path = path
        self.inputs = {item.name: _spec(path, item) for item in self._session.get_inputs()}
        self.outputs = {item.name: _spec(path, item) for item in self._session.get_outputs()}
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run the graph once; shapes and dtypes are the caller's promise, checked by ONNX Runtime."""
        result: list[np.ndarray] = self._session.run(outputs, dict(feed))
        return result


def _spec(path: Path, item: Any) -> TensorSpec:
    if item.type not in _DTYPES:
        raise ConfigurationError(
            f"{path}: {item.name!r} is a {item.type}; expected one of {', '.join(_DTYPES)}"
        )
    shape = tuple(size if isinstance(size, int) else 0 for size in item.shape)
    return TensorSpec(item.name, shape, _DTYPES[item.type])
