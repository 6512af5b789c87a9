# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a loaded model is, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: Its name.
        shape: Sizes; 0 where the model leaves one open.
        dtype: The NumPy scalar type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: type[np.generic]


@dataclass(frozen=True)
class Signature:
    """What a model file says of itself.

    Attributes:
        inputs: Its inputs by name.
        outputs: Its outputs by name.
        metadata: What it says besides.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    metadata: dict[str, str]


class LaunchTimes(NamedTuple):
    """What one inference on an accelerator cost the host, and the device.

    Attributes:
        submit_us: Host time, µs, from the first launch until the last one has returned; no wait for the
            device is in it.
        device_us: Device time, µs, from before its first to after its last kernel, by events on its stream.
    """

    submit_us: float
    device_us: float


class Model(Protocol):
    """A loaded model; used by one thread.

    One that launches kernels may have an attribute `launch`, the `LaunchTimes` of its newest run, None where
    they are not known.
    """

    @property
    def path(self) -> Path:
        """Return the file that it came from."""
        ...

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """Return its inputs by name."""
        ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """Return its outputs by name."""
        ...

    @property
    def metadata(self) -> dict[str, str]:
        """Return what the file says besides."""
        ...

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Return some outputs for all inputs; shapes and dtypes are the caller's promise.

        What is returned may be memory of the model: it is good until the next run.
        """
        ...
