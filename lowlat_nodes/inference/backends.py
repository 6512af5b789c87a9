# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which library runs a model, and how: as the parameters say, or whatever is fastest here."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import lowlat_nodes
from lowlat_nodes.inference import calibration_cache, machine, onnx, openvino, torchscript
from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.inference.calibration import (
    QUANTISED_TOLERANCE,
    TOLERANCES,
    Calibration,
    Clocks,
    Compared,
    Stop,
    calibrate,
    never,
)
from lowlat_nodes.inference.calibration_turn import turn
from lowlat_nodes.inference.candidates import Candidate, candidates, open_model
from lowlat_nodes.inference.example import example
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model, Signature
from lowlat_nodes.inference.segments.cut import Cut, cut
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.stream.config import to_flat
from lowlat_nodes.stream.errors import ConfigurationError


@dataclass(frozen=True)
class Loaded:
    """A model that has run, and why in this way.

    Attributes:
        model: Ready to run; `inputs` says whether the image is taken as uint8.
        candidate: How it runs.
        calibration: What was timed; None if there was nothing to choose.
        cut: In which parts it runs; None where nothing was to be cut.
    """

    model: Model
    candidate: Candidate
    calibration: Calibration | None
    cut: Cut | None = None

    def as_text(self) -> str:
        """Return what runs the model, and the table of what was timed where there was a choice."""
        how = f"{self.model.path.name} runs with {self.candidate.describe()}, the only way open"
        if self.calibration is not None:
            how = self.calibration.as_text()
        return how if self.cut is None else f"{how}\n{self.cut.as_text()}"

    def as_json(self) -> str:
        """Return the same as one JSON object, of the form of `Calibration.as_json`."""
        if self.calibration is not None:
            return self.calibration.as_json()
        return json.dumps({"rows": [{**asdict(self.candidate), "chosen": True}], "cached": False})


def signature(path: Path) -> Signature:
    """Return what a model file says of itself, whichever library reads it.

    Raises:
        ConfigurationError: If it is missing, or nothing that can be loaded.
    """
    if path.suffix == ".xml":
        return openvino.read_signature(path)
    if path.suffix == ".pt":
        model = torchscript.TorchModel(path)
        return Signature(model.inputs, model.outputs, model.metadata)
    return onnx.read_signature(path)


def load(
    path: Path,
    settings: BackendSettings,
    image: ImageInput | None = None,
    *,
    further: Mapping[str, np.ndarray] | None = None,
    outputs: list[str] | None = None,
    compared: Compared = list,
    clocks: Clocks | None = None,
    anew: bool = False,
    stop: Stop = never,
    sharing: Sharing = ALONE,
) -> Loaded:
    """Load a model and run it, in the way that is fastest where the parameters leave a choice.

    Args:
        path: An .onnx, .xml (OpenVINO) or .pt (TorchScript, see `torchscript.save`) file.
        settings: The parameters.
        image: The image input, which is then folded where that pays.
        further: Values of other inputs, to run the model with; made up where they are missing.
        outputs: What will be fetched; None for all.
        compared: Makes of these outputs what must be the same however the model is run; the outputs
            themselves may differ where ties decide.
        clocks: What to measure with.
        anew: Whether what an earlier start found out does not count.
        stop: Whether to give up, asked again and again while there is something to time.
        sharing: Whether it is cut into parts that give way, which only ONNX Runtime on the CPU can do here.

    Raises:
        ConfigurationError: If the file, the parameters and this machine do not fit each other; if it was to
            stop.
        MissingExtra: If the library is not installed.
    """
    clocks = clocks or Clocks()
    said = signature(path)
    fetched = list(said.outputs) if outputs is None else outputs
    cores = len(os.sched_getaffinity(0))
    possible = candidates(path, settings, image, cores=cores, load_average=clocks.load())
    if sharing.segment_ms:
        possible = _divisible(path, possible)

    def start(candidate: Candidate) -> Model:
        return open_model(path, candidate, image, cuda_graph=settings.cuda_graph)

    def feed(model: Model) -> dict[str, np.ndarray]:
        return example(model, image, further or {})

    def in_parts(loaded: Loaded) -> Loaded:
        return _in_parts(loaded, sharing, feed, image)

    if len(possible) == 1:
        return in_parts(Loaded(_ran(start(possible[0]), feed, fetched), possible[0], None))
    key = calibration_cache.key(
        path,
        {
            "image": asdict(image) if image else None,
            "outputs": fetched,
            "settings": to_flat(settings),
            "divisible": bool(sharing.segment_ms),
            "machine": machine.describe(),
            "lowlat_nodes": lowlat_nodes.__version__,
        },
    )

    def known() -> Loaded | None:
        found = None if anew else calibration_cache.read(key)
        if found is None or found.best not in possible:
            return None
        return Loaded(_ran(start(found.best), feed, fetched), found.best, found)

    def timed() -> Loaded:
        found, model = calibrate(
            possible,
            start,
            feed,
            fetched,
            reference=_reference(path, image, feed, fetched),
            compared=compared,
            tolerances=dict.fromkeys(TOLERANCES, QUANTISED_TOLERANCE) if _is_quantised(path) else TOLERANCES,
            runs=settings.calibration.runs,
            limit_s=settings.calibration.limit_s,
            clocks=clocks,
            stop=stop,
        )
        return Loaded(model, found.best, found)

    if not settings.calibration.cache:
        return in_parts(timed())
    if loaded := known():
        return in_parts(loaded)
    with turn(stop):
        loaded = known() or timed()  # another process may have just found it out
        assert loaded.calibration is not None
        if not loaded.calibration.cached:
            calibration_cache.write(key, loaded.calibration)
    return in_parts(loaded)


def _in_parts(
    loaded: Loaded,
    sharing: Sharing,
    feed: Callable[[Model], dict[str, np.ndarray]],
    image: ImageInput | None,
) -> Loaded:
    """Return a model that gives way as often as wished."""
    if not sharing.segment_ms:
        return loaded
    found = cut(
        loaded.model.path,
        sharing.segment_ms,
        feed,
        threads=loaded.candidate.threads,
        spinning=loaded.candidate.spinning,
        image=image,
        turn=sharing.turn,
    )
    return replace(loaded, model=found.model, cut=found)


def _divisible(path: Path, possible: list[Candidate]) -> list[Candidate]:
    """Return the ways to run a model in parts.

    Raises:
        ConfigurationError: If there is none.
    """
    found = [each for each in possible if (each.backend, each.device) == ("onnxruntime", "cpu")]
    if not found:
        ways = ", ".join(dict.fromkeys(f"{each.backend} on {each.device}" for each in possible))
        raise ConfigurationError(
            f"turn.segment_ms: expected a model that ONNX Runtime runs on the CPU, where it can be cut; "
            f"{path.name} may run with {ways}. Set segment_ms 0, or kind onnxruntime and provider cpu or auto"
        )
    return found


def _ran(model: Model, feed: Callable[[Model], dict[str, np.ndarray]], outputs: list[str]) -> Model:
    """Run a model once, so that its first frame is as fast as the others and no surprise."""
    try:
        model.run(feed(model), outputs)
    except Exception as error:  # each backend has its own
        raise ConfigurationError(f"{model.path} loads, but does not run: {error}") from error
    return model


def _reference(
    path: Path, image: ImageInput | None, feed: Callable[[Model], dict[str, np.ndarray]], outputs: list[str]
) -> list[np.ndarray] | None:
    """Return what ONNX Runtime's CPU kernels say; None for a file that it cannot run."""
    if path.suffix != ".onnx":
        return None
    try:
        model = onnx.OnnxModel(path, image=image)
        return model.run(feed(model), outputs)
    except Exception:  # operators that only another backend has
        return None


def _is_quantised(path: Path) -> bool:
    """Return whether a file names the operator that integers are made with."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"QuantizeLinear") >= 0
