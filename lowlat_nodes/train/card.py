# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The card that ships beside the reaction policy: what it is, how it was made and what it scores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

TEXT = """\
---
name: {name}
file: {file}
sha256: {sha256}
bytes: {size}
license: Apache-2.0
command: {command}
seed: {seed}
libraries: {libraries}
---

# {name}

A flow-matching policy of {parameters} parameters for the reaction task of `lowlat_nodes.sim`: a planar arm
with three joints touches lights of the colour that the task text names. It exists to compare ways of
executing late action chunks (`make demo`), not to control any robot.

## Inputs and output
| name | type and shape | meaning |
|---|---|---|
| `image` | uint8 [B, 120, 160, 3] | rgb8 from the camera over the table; scale larger images down by area |
| `state` | float32 [B, 6] | positions (rad), then velocities (rad/s) of {joints}, when the chunk begins |
| `tokens` | int64 [B, 12] | task text by `lowlat_nodes.inference.tokens` (`{tokens}`) |
| `noise` | float32 [B, 32, 3] | standard normal; the same noise gives the same chunk |
| `actions` | float32 [B, 32, 3] | absolute position targets in rad, 20 ms apart |

`actions[0]` is the command for the 20 ms that begin when the arm is in `state`. The image may be up to
{max_offset} periods ({max_offset_ms} ms) older than that: the policy was trained with state and actions
moved against the image (VLASH, arXiv 2512.01031). The graph holds all {euler} Euler steps and all
normalisation: pixels to -1 to 1, joint state to the mean and spread of the data; actions are modelled
relative to the positions in `state`. The file carries the same facts as ONNX metadata.

Known tasks: "touch the COLOUR light" with red, green or blue, a few other wordings of it, and "wait", "hold
still" or an empty text, under which the arm stays where it is.

## Data
{images} camera images from closed-loop MuJoCo rollouts of the scripted expert in
`lowlat_nodes.train.expert`, with encoder noise, disturbed commands (DART), late or mistaken intentions of
the expert and random lights, decoys and wordings. For each image and each offset from 0 to {max_offset}
periods the label is the chunk that the expert plans from the state recorded that much later, for the light
that is visible in the image. Training: {steps} steps of {batch} images with {branches} offsets each; the
file holds the exponential average of the weights. Another machine, library version or number of threads
rounds differently and ends with other weights.

## Measured
By `python -m lowlat_nodes.train.evaluate` in simulated time: {targets} targets (window {window_ms} ms, in
series of ten from seed {schedule_seed} on), camera at 30 Hz, inference takes {delay_ms} ms. `oracle` replans
as often as that but without delay, `sync` plays whole chunks and holds while it thinks. `naive_async` and
`naive_aligned` enter a chunk from the state at launch at its first row, or at the row that is due. The
`vlash` rows differ in how the state at the switch is known: taken to be the last command, the measured one
plus the commanded motion, by a first-order lag model, or exactly. A reaction is the time from a light to the
first command that would have been another without it.

{table}

ONNX Runtime differs from torch by at most {difference:.0e} rad. One chunk takes {latency_ms:.1f} ms on one
thread of the machine that trained it.

## Limits
Knows one arm, one camera view and these lights. Lights of other sizes, another background or two lights of
the asked colour at once are outside its data.
"""


def write_card(model: Path, facts: Mapping[str, object]) -> Path:
    """Write the card beside its model, with the model's digest, and return its path.

    `facts` fill the placeholders of the text by name. Raises KeyError for one that is missing.
    """
    content = model.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    path = model.with_suffix(".md")
    path.write_text(
        TEXT.format(name=model.stem, file=model.name, sha256=digest, size=len(content), **facts),
        encoding="utf-8",
    )
    return path
