# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector is quantised, judged, and, if it fails and that is wanted, spared the layers that did it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import onnx

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.quantisation.gate import SURE, Gate, Limits, Verdict
from lowlat_nodes.train.quantisation.metadata import stamp
from lowlat_nodes.train.quantisation.samples import Sample
from lowlat_nodes.train.quantisation.seeing import detections, feeds, load
from lowlat_nodes.train.quantisation.sensitivity import Layer, rank
from lowlat_nodes.train.quantisation.source import Source
from lowlat_nodes.train.quantisation.static import SCHEMES, Quantiser
from lowlat_nodes.train.quantisation.timing import compare
from lowlat_nodes.vision.layouts.layout import Layout

RANKED_ON: Final = 8
"""Images on which layers are compared: a model is loaded for each layer, and run on all of them."""


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        source: The model.
        layout: Of the model.
        out: Where the quantised model goes.
        runtime: What it is for; one of `SCHEMES`.
        limits: What the gate lets through.
        repair: How many layers may be kept in floating point, the worst first, to pass the gate.
        method: How ranges follow from what is seen; one of `static.METHODS`.
        include: Nodes to quantise beyond those that are chosen.
        ranking: Whether layers are ranked even if the gate is passed.
    """

    source: Source
    layout: Layout
    out: Path
    runtime: str = "openvino"
    limits: Limits = field(default_factory=Limits)
    repair: int = 0
    method: str = "minmax"
    include: tuple[str, ...] = ()
    ranking: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of it.

    Attributes:
        verdict: Of the gate, on the last attempt.
        agreement: Whether the gate had no truth but the floating-point model.
        layers: How many layers are quantised.
        ranked: All layers by damage, the worst first; empty if nobody asked.
        excluded: Those that were kept in floating point to pass.
        milliseconds: Of a run, by precision.
        size: Bytes of the file, if it was written; else 0.
        sha256: Of the file, if it was written; else empty.
    """

    verdict: Verdict
    agreement: bool
    layers: int
    ranked: tuple[Layer, ...]
    excluded: tuple[str, ...]
    milliseconds: dict[str, float]
    size: int
    sha256: str

    @property
    def written(self) -> bool:
        """Return whether the gate was passed and the file written."""
        return bool(self.size)


def quantise(
    job: Job,
    calibration: Sequence[Sample],
    judging: Sequence[Sample],
    *,
    say: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Quantise a detector; the file is written only if it passes the gate.

    Args:
        job: What is to be done.
        calibration: Images to see the ranges of activations on.
        judging: Other images, for the gate; all with a truth, or none.
        say: Is told what is being done.

    Raises:
        ConfigurationError: If the model has nothing to quantise, or the images nothing to judge by.
        MissingExtra: If the runtime is not installed.
    """
    layout = job.layout
    source = load(job.source.path, job.runtime, layout)
    say(f"judging the floating-point model on {len(judging)} images")
    expected = detections(source, layout, judging)
    gate = Gate(judging, expected, layout.names, job.limits)
    say(f"calibrating on {len(calibration)} images")
    quantiser = Quantiser(
        job.source.model,
        SCHEMES[job.runtime],
        feeds(layout, calibration),
        method=job.method,
        include=job.include,
    )
    with tempfile.TemporaryDirectory(dir=job.out.parent) as folder:
        path = Path(folder) / "quantised.onnx"

        def attempt(excluded: Sequence[str]) -> Verdict:
            kept = [name for name in quantiser.layers if name not in excluded]
            model = quantiser.quantised(kept)
            stamp(model, job.source, job.runtime, excluded)
            onnx.save(model, path)
            verdict = gate.judge(detections(load(path, job.runtime, layout), layout, judging))
            measure = "agreement" if gate.agreement else "AP"
            say(
                f"{len(kept)} layers in INT8: {measure} {verdict.ap_int8:.4f} after {verdict.ap_fp32:.4f}, "
                f"score ratio {verdict.score_ratio:.3f}"
            )
            return verdict

        excluded: list[str] = []
        verdict = attempt(excluded)
        ranked: list[Layer] = []
        if verdict.reasons or job.ranking:
            say(f"measuring {len(quantiser.layers)} layers one by one")
            shown = [n for n, rows in enumerate(expected) if (rows[:, 4] >= SURE).any()][:RANKED_ON]
            ranked = rank(
                quantiser, layout, [judging[n] for n in shown], [expected[n] for n in shown], say=say
            )
        for layer in ranked[: min(job.repair, len(quantiser.layers) - 1)]:
            if not verdict.reasons:
                break
            excluded.append(layer.name)
            say(f"{layer.name} stays in floating point")
            verdict = attempt(excluded)
        size, digest = 0, ""
        milliseconds = compare(job.source.path, path, job.runtime, layout)
        if not verdict.reasons:
            content = path.read_bytes()
            size, digest = len(content), hashlib.sha256(content).hexdigest()
            _publish(path, job.out)
    return Outcome(
        verdict,
        gate.agreement,
        len(quantiser.layers) - len(excluded),
        tuple(ranked),
        tuple(excluded),
        milliseconds,
        size,
        digest,
    )


def _publish(path: Path, out: Path) -> None:
    try:
        path.replace(out)
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be written: {error}") from error
