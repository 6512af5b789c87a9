# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The same network in several file formats: how large each is, and how long it takes to load."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from torch import Tensor

    from lowlat_nodes.train.t2.model import T2Config

_PROVIDERS = ["CPUExecutionProvider"]


def write_ort(source: Path, path: Path) -> None:
    """Write an ONNX file in ONNX Runtime's own format, as its graph is after optimisation."""
    options = _options()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    # What is optimised for the kind of this very processor would not be a file to ship.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(source, options, providers=_PROVIDERS)


def write_zip(source: Path, path: Path) -> None:
    """Write a file as the only one of a zip archive, packed as tightly as deflate can."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(source, "model")


def session(path: Path, *, flush: bool = False) -> Any:
    """Return a session of ONNX Runtime on one thread, of a file or of the only file in a zip archive.

    With `flush`, if it is the first session of its process, this thread takes numbers too small for their
    exponent for 0 from now on.
    """
    options = _options()
    options.add_session_config_entry("session.set_denormal_as_zero", str(int(flush)))
    return onnxruntime.InferenceSession(_content(path), options, providers=_PROVIDERS)


def network(path: Path, config: T2Config) -> Any:
    """Return the network of torch whose weights are in a safetensors file, or in a zip archive of one."""
    from lowlat_nodes.train.t2.model import ScaledT2
    from lowlat_nodes.train.t2.packed import unpack

    made = ScaledT2(config)
    made.network.load_state_dict(unpack(_content(path)))
    return made.eval()


def write_forms(source: Path, weights: Mapping[str, Tensor], *, int8: bool) -> dict[str, Path]:
    """Write a model in all formats beside it; return their paths by name of the format."""
    from lowlat_nodes.train.t2.packed import pack, write_safetensors

    forms = {
        "onnx": source,
        "ort": source.with_suffix(".ort"),
        "safetensors": source.with_suffix(".safetensors"),
    }
    write_ort(source, forms["ort"])
    forms["safetensors"].write_bytes(write_safetensors(pack(weights, int8=int8)))
    for name, path in dict(forms).items():
        forms[f"{name}_zip"] = path.with_suffix(f"{path.suffix}.zip")
        write_zip(path, forms[f"{name}_zip"])
    return forms


def load_ms(forms: Mapping[str, Path], config: T2Config, repeats: int) -> dict[str, float]:
    """Return the median CPU time until each file can be run, read from the page cache."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, path in forms.items():
            load: Callable[[], Any] = (
                (lambda path=path: network(path, config))
                if name.startswith("safetensors")
                else (lambda path=path: session(path))
            )
            start = time.thread_time()
            load()
            times[name].append(1000.0 * (time.thread_time() - start))
    return {name: round(float(np.median(values)), 2) for name, values in times.items()}


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".zip":
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("model")


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options
