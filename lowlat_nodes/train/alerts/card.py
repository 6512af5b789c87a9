# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The card that ships beside a classifier of alerts: what it is, how it was made and how well it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky.surveys import SURVEYS
from lowlat_nodes.train import model_card
from lowlat_nodes.train.alerts.metrics import (
    SUPERNOVAE,
    Probabilities,
    balanced_accuracy,
    calibration_error,
    confusion,
    f1_scores,
    log_loss,
    macro_f1,
)
from lowlat_nodes.train.alerts.sky import Labelled

DETECTIONS: Final = ((1, 1), (2, 3), (4, 7), (8, 15), (16, 31), (32, 10**9))

TEXT: Final = """\
---
name: {name}
file: {name}.onnx
sha256: {sha256}
bytes: {size}
license: Apache-2.0
command: {command}
seed: {seed}
generator: {generator}
libraries: {libraries}
---

# {name}

A transformer of {parameters} parameters over the tokens of a light curve, {depth} layers of {width},
which gives the probabilities of {count} classes:
{names}.
All that it has seen is simulated, and so is all that is said here of how well it does.

## Input and output
| name | type and shape | meaning |
|---|---|---|
| `tokens` | float32 [B, L, 5] | {fields}; padding has error 0 |
| `probabilities` | float32 [B, {count}] | in the order above; each row sums to 1 |

Days since the last epoch (0 or less), effective wavelength in um, flux against the template and its error in
nJy, 1 where it was detected. `lowlat_nodes.alerts.tokens` makes them, at most {most} of an alert; all scaling
is in the graph. Probabilities below {threshold:.3f}, which is in the file's metadata, are to be taken for
"unknown": in simulation the likeliest class is right in {accuracy:.1%} of those above, which are {share:.1%}.

## Data
{objects} objects of `lowlat_nodes.sim.sky` (seed {seed}), as many of each class, seen by ZTF, LSST and the
makers of catalogues. No real light curve and no label of any survey or catalogue was trained on.

## Training
{steps} steps of {batch} light curves in {minutes:g} minutes of {clock}: {views} views, each cut, thinned,
dimmed, miscalibrated or made noisier at random (`lowlat_nodes.train.alerts.augment`). Muon for the matrices
and AdamW for the biases, at a rate of {learning_rate:g} that falls along a cosine; labels smoothed by
{smoothing:g}; the exponential average of the weights is kept. Then one temperature, {temperature:.3f}, is
fitted on {calibrated} objects of seed {calibration_seed}.
Another machine, library version or number of threads rounds differently and ends with other weights, and a
faster one sees more.

## How well it does, in simulation
On {tested} objects of seed {test_seed}, twice: seen whole, as challenges like PLAsTiCC have them
(`lowlat_nodes.train.alerts.whole`: at least 150 days that are known, until all is over, and two detections);
and as alerts come, most of them in the middle of what happens.

| light curves | number | macro-F1 | log-loss | ECE | balanced accuracy of 4 kinds of supernovae |
|---|---|---|---|---|---|
{table}

Log-loss is that of PLAsTiCC, where classes count alike and TDE twice. The last column chooses among SN Ia,
SN II, SN Ib/c and SLSN alone. On the real sky it does as well only as far as the simulated one is like it.

Seen whole, recall in per cent, a row for each class:

{matrix}

F1 by class, seen whole: {by_class}.
The ONNX file differs from torch by at most {error:.1e} in probability.

## Limits
It was judged on simulated light curves. What is none of the {count} classes, such as a moving object, gets
one of them nevertheless. It knows no redshift, no host and no position.
"""


@dataclass(frozen=True)
class Judged:
    """Simulated light curves, and what a model says of them, float [n, 12]."""

    sky: Labelled
    probabilities: Probabilities


def rows(whole: Judged, alerts: Judged) -> Iterator[str]:
    """Rows of the card's table: what is seen whole, all alerts, these by number of detections, by survey."""
    yield _row("seen whole", whole.sky.labels, whole.probabilities)
    sky, probabilities = alerts.sky, alerts.probabilities
    yield _row("as alerts come", sky.labels, probabilities)
    found = sky.detections()
    for least, most in DETECTIONS:
        inside = (found >= least) & (found <= most)
        name = (
            "1 detection"
            if most == 1
            else f"{least} to {most} detections"
            if most < 10**9
            else f"{least} and more"
        )
        yield from _rows_of(name, inside, sky, probabilities)
    for number, survey in enumerate(SURVEYS):
        yield from _rows_of(survey, sky.surveys == number, sky, probabilities)


def _rows_of(
    name: str, chosen: NDArray[np.bool_], sky: Labelled, probabilities: Probabilities
) -> Iterator[str]:
    if chosen.any():
        yield _row(name, sky.labels[chosen], probabilities[chosen])


def _row(name: str, labels: NDArray[np.int64], probabilities: Probabilities) -> str:
    figures = [macro_f1(labels, probabilities), log_loss(labels, probabilities)]
    figures.append(calibration_error(labels, probabilities))
    if np.isin(labels, SUPERNOVAE).any():
        figures.append(balanced_accuracy(labels, probabilities, SUPERNOVAE))
    texts = [f"{figure:.3f}" for figure in figures] + ["-"] * (4 - len(figures))
    return f"| {name} | {len(labels)} | {' | '.join(texts)} |"


def matrix(labels: NDArray[np.int64], probabilities: Probabilities) -> str:
    """The confusion of classes as a table, in per cent of the true one."""
    counts = confusion(labels, probabilities.argmax(1))
    shares = 100.0 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    lines = [f"| | {' | '.join(CLASSES)} |", "|---" * (len(CLASSES) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{share:.0f}' for share in line)} |"
        for name, line in zip(CLASSES, shares, strict=True)
    ]
    return "\n".join(lines)


def write_card(model: Path, text: str, whole: Judged, alerts: Judged, facts: Mapping[str, object]) -> Path:
    """Write the card of a classifier beside it and return its path.

    `facts` fill the placeholders of `text` by name. Raises KeyError for one that is missing.
    """
    labels, probabilities = whole.sky.labels, whole.probabilities
    by_class = zip(CLASSES, f1_scores(labels, probabilities), strict=True)
    return model_card.write(
        model,
        text,
        {
            "count": len(CLASSES),
            "names": ", ".join(CLASSES),
            "tested": len(alerts.sky),
            "table": "\n".join(rows(whole, alerts)),
            "matrix": matrix(labels, probabilities),
            "by_class": ", ".join(f"{name} {score:.3f}" for name, score in by_class),
            **facts,
        },
    )
