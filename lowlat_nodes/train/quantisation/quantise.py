# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector is quantised, judged, and, if it fails and that is wanted, spared the layers that did it."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
    method: str = "percentile"
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
        milliseconds: Of a core for a run, by precision.
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
        ConfigurationError: If the model has nothing to quantise, the images nothing to judge by, or the file
            cannot be written.
        MissingExtra: If the runtime is not installed.
    """
    layout = job.layout
    say(f"judging the floating-point model on {len(judging)} images")
    expected = detections(load(job.source.path, job.runtime, layout), layout, judging)
    gate = Gate(judging, expected, layout.names, job.limits)
    say(f"calibrating on {len(calibration)} images")
    quantiser = Quantiser(
        job.source.model,
        SCHEMES[job.runtime],
        feeds(layout, calibration),
        method=job.method,
        include=job.include,
    )
    with _folder_beside(job.out) as folder:
        trial = _Trial(job, quantiser, gate, judging, folder / "quantised.onnx", say)
        excluded: list[str] = []
        verdict = trial.run(excluded)
        ranked: list[Layer] = []
        if verdict.reasons or job.ranking:
            say(f"measuring {len(quantiser.layers)} layers one by one")
            shown = [n for n, rows in enumerate(expected) if (rows[:, 4] >= SURE).any()][:RANKED_ON]
            images, rows = [judging[n] for n in shown], [expected[n] for n in shown]
            ranked = rank(quantiser, layout, images, rows, say=say)
        for layer in ranked[: min(job.repair, len(quantiser.layers) - 1)]:
            if not verdict.reasons:
                break
            excluded.append(layer.name)
            verdict = trial.run(excluded)
        milliseconds = compare(job.source.path, trial.path, job.runtime, layout)
        content = b"" if verdict.reasons else trial.path.read_bytes()
        if content:
            trial.path.replace(job.out)
    return Outcome(
        verdict=verdict,
        agreement=gate.agreement,
        layers=len(quantiser.layers) - len(excluded),
        ranked=tuple(ranked),
        excluded=tuple(excluded),
        milliseconds=milliseconds,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest() if content else "",
    )


@dataclass(frozen=True)
class _Trial:
    """A model with some layers spared, written and judged; the last one stays at `path`."""

    job: Job
    quantiser: Quantiser
    gate: Gate
    judging: Sequence[Sample]
    path: Path
    say: Callable[[str], None]

    def run(self, excluded: Sequence[str]) -> Verdict:
        job, layout = self.job, self.job.layout
        layers = [name for name in self.quantiser.layers if name not in excluded]
        model = self.quantiser.quantised(layers)
        stamp(model, job.source, job.runtime, excluded)
        onnx.save(model, self.path)
        verdict = self.gate.judge(detections(load(self.path, job.runtime, layout), layout, self.judging))
        measure = "agreement" if self.gate.agreement else "AP"
        spared = f", {excluded[-1]} no longer" if excluded else ""
        self.say(
            f"{len(layers)} layers in INT8{spared}: {measure} {verdict.ap_int8:.4f} after "
            f"{verdict.ap_fp32:.4f}, score ratio {verdict.score_ratio:.3f}"
        )
        return verdict


@contextlib.contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """Make a folder from which a file can be moved to its place in one step, for as long as it is used."""
    try:
        folder = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}")
    except OSError as error:
        raise ConfigurationError(f"{out.parent}: expected a folder to write to: {error}") from error
    with folder as name:
        yield Path(name)
