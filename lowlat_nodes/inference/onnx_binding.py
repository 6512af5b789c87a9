# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory of a device that an ONNX Runtime session reads its inputs from and writes its outputs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowlat_nodes.inference.model import Signature


class Binding:
    """Inputs and outputs at the same addresses of a device in every run.

    Recorded CUDA graphs need that, and nothing is allocated on the device in flight.

    Args:
        session: The ONNX Runtime session.
        signature: Of the session, without open sizes.
        device: Where the memory is: cuda or cpu.
    """

    def __init__(self, session: Any, signature: Signature, device: str) -> None:
        import onnxruntime

        self._session = session
        self._binding = session.io_binding()

        def allocate(shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype, device, 0)

        self._inputs = {name: allocate(item.shape, item.dtype) for name, item in signature.inputs.items()}
        self._outputs = {name: allocate(item.shape, item.dtype) for name, item in signature.outputs.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    @staticmethod
    def fits(signature: Signature) -> bool:
        """Return whether all sizes are known before a run."""
        specs = (*signature.inputs.values(), *signature.outputs.values())
        return all(all(item.shape) for item in specs)

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run the session once; the results are copies on the host.

        Raises:
            RuntimeError: If an array has not the size of its input.
        """
        for name, value in self._inputs.items():
            value.update_inplace(np.ascontiguousarray(feed[name]))
        self._session.run_with_iobinding(self._binding)
        return [self._outputs[name].numpy() for name in outputs]
