# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The text of the card that ships beside t2."""

from __future__ import annotations

from typing import Final

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

The time-series transformer t2 (Allam Jr. and McEwen, arXiv 2105.06178) with the hyper-parameters that its
authors deployed in a broker (arXiv 2303.08951): {parameters} parameters, one encoder block of {width} with
{heads} heads. It gives the probabilities of {count} classes:
{names}.
It ships to be compared with: `alerts.onnx`, which needs no interpolation, is the classifier to use.
All that it has seen is simulated, and so is all that is said here of how well it does.

## Input and output
| name | type and shape | meaning |
|---|---|---|
| `flux_njy` | float32 [B, {steps}, 2] | interpolated light curve in {passbands}, oldest first |
| `error_njy` | float32 [B, {steps}, 2] | standard deviation of the interpolation |
| `span_days` | float32 [B] | from the first time to the last |
| `probabilities` | float32 [B, {count}] | in the order above; each row sums to 1 |

`lowlat_nodes.alerts.t2_inputs` makes the inputs: t2's Gaussian process over time and wavelength, fitted to
the newest {most} epochs from 50 days before the first detection to 50 days after the last. Probabilities
below {threshold:.3f}, which is in the file's metadata, are to be taken for "unknown": in simulation the
likeliest class is right in {accuracy:.1%} of those above, which are {share:.1%}.

## What differs from the published network
It has {count} classes instead of 14 and {channels} channels instead of 2: the standard deviations tell it
where there are no data, the span how long the time axis is. Fluxes are scaled by one rule for all light
curves, asinh(flux / {unit:g} nJy), in the graph. With 2 channels and 14 classes it has the 13,262 parameters
of the original.

## Data
{objects} objects of `lowlat_nodes.sim.sky` (seed {seed}), as many of each class, seen by ZTF, LSST and the
makers of catalogues. No real light curve and no label of any survey or catalogue was trained on.

## Training
{steps_taken} steps of {batch} light curves in {minutes:g} minutes of {clock}, after their interpolation. Adam
at a rate of {learning_rate:g} that falls along a cosine, gradients cut to a norm of 1, on the weighted
log-loss with equal weights. Then one temperature, {temperature:.3f}, is fitted on {calibrated} objects of
seed {calibration_seed}. Another machine, library version or number of threads rounds differently and ends
with other weights, and a faster one sees more.

## How well it does, in simulation
On {tested} objects of seed {test_seed}, twice: seen whole, as challenges like PLAsTiCC have them
(`lowlat_nodes.train.alerts.whole`), and as alerts come, most of them in the middle of what happens.

| light curves | number | macro-F1 | log-loss | ECE | balanced accuracy of 4 kinds of supernovae |
|---|---|---|---|---|---|
{table}

Log-loss is that of PLAsTiCC, where classes count alike and TDE twice. The last column chooses among SN Ia,
SN II, SN Ib/c and SLSN alone. On the real sky it does as well only as far as the simulated one is like it.

Seen whole, recall in per cent, a row for each class:

{matrix}

F1 by class, seen whole: {by_class}.

## Limits
It was judged on simulated light curves. What is none of the {count} classes, such as a moving object, gets
one of them nevertheless. It knows no redshift, no host and no position. What varies faster than its hundred
times are apart, as RR Lyrae do over months, is smoothed or lost.
"""
