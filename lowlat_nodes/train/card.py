# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The card that ships beside the policies: what they are, how they were made and how closely they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

TEXT = """\
---
name: table
license: Apache-2.0
command: {command}
seed: {seed}
libraries: {libraries}
files:
{digests}
---

# table

Flow-matching policies of about {parameters} parameters for the three tasks of `lowlat_nodes.sim`, in which
a planar arm with three joints touches lights, meets balls and holds a peg in a slot. They exist to compare
ways of executing late action chunks (`lowlat bench control --suite`), not to control any robot. All come
from the same demonstrations, the same encoder and the same number of gradient steps.

| file | trained for |
|---|---|
| `table_base` | states at the image only; can be guided by rows decided before (arXiv 2506.07339) |
| `table_vlash` | states up to {max_offset} periods later than the image (VLASH, arXiv 2512.01031) |
| `table_vlash_last_action` | the same with the last command for a state, as the published code has it |
| `table_delay` | as `table_vlash`, and told by how much later |
| `table_prefix` | going on from rows that are decided already (arXiv 2512.05964) |
| `table_corrector_base`, `table_corrector_delay` | correcting that policy's plan (after arXiv 2509.23224) |

## Inputs and outputs
| name | type and shape | meaning |
|---|---|---|
| `image` | uint8 [B, 120, 160, 3] | rgb8 from the camera over the table; scale larger images down by area |
| `tokens` | int64 [B, 12] | task text by `lowlat_nodes.inference.tokens` (`{tokens}`) |
| `state` | float32 [B, 6] | positions (rad), then velocities (rad/s) of {joints}, when the chunk begins |
| `noise` | float32 [B, 32, 3] | standard normal; the same noise gives the same chunk |
| `actions` | float32 [B, 32, 3] | absolute targets in rad, 20 ms apart; the first begins in `state` |
| `delay` | float32 [B, 1] | rows from the image to the chunk's first row, 0 to {max_offset} |
| `decided` | float32 [B, 32, 3] | targets in rad that are decided; finite anywhere else |
| `weights` | float32 [B, 32] | 1 for rows of `decided` to keep; `table_base` takes 0 to 1 |
| `jacobian` | float32 [B, 1] | 1 to pull the error back through the network, 0 to add it as it is |
| `planned` | float32 [B, 4, 3] | targets of the running plan in rad, for now and the next three rows |
| `age` | float32 [B, 1] | rows from the plan's image to now |
| `correction` | float32 [B, 3] | what to add to `planned[:, 0]`, in rad |

The graphs hold all {euler} Euler steps and all normalisation; actions are modelled relative to the
positions in `state`. The files carry the same facts as ONNX metadata. Weights are stored as float16.

Known tasks: {tasks}; a few other wordings of them; and "wait", "hold still" or an empty text, under which
the arm stays where it is.

## Data
{images} camera images of each task from closed-loop MuJoCo rollouts of the scripted expert in
`lowlat_nodes.train.expert`, with encoder noise, disturbed commands (DART), late or mistaken intentions of
the expert, and tasks drawn around those of the benchmark and somewhat wider
(`lowlat_nodes.train.scenarios`). For each image and each offset from 0 to {max_offset} periods the label is
the chunk that the expert plans from the state recorded that much later, for the goal that is visible in the
image. `table_prefix` gets the commands that were really sent after the image, disturbances included, and
`table_vlash_last_action` the last of them as the state.

## Training
First encoder and head together, on states at the image, with a second head that names the place to go to
and is dropped afterwards: {steps} steps of {batch} images with {draws} noises each. Then the encoder stays
as it is and each variant goes on from that head, `table_base` too: {variant_steps} steps of {variant_batch}
samples. A corrector starts as a copy of its policy's head, takes one look instead of all Euler steps, and
learns the expert's command of now from images and states up to 20 periods after those of the running plan:
as many steps of {corrector_batch} samples. The files hold the exponential average of the weights. Most steps
compute in bfloat16, the last in float32.
Another machine, library version or number of threads rounds differently and ends with other weights.

| fit | error of the last steps, in units of the data's spread for that row |
|---|---|
{losses}

Squared for policies, absolute for correctors. Policies are not comparable by it: each has rows, states and
conditions of its own.

Weights as float16 move an output by at most {rounding:.1e} rad on random inputs.

## Limits
They know one arm, one camera view and these things. Objects of other sizes, another background or two
lights of the asked colour at once are outside their data. Delays beyond {max_offset} periods from the image
are, too.
"""


def write_card(folder: Path, models: Sequence[Path], facts: Mapping[str, object]) -> Path:
    """Write the card of models in the same folder, with their digests, and return its path.

    `facts` fill the placeholders of the text by name. Raises KeyError for one that is missing.
    """
    digests = "\n".join(f"  {path.name}: {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in models)
    card = folder / "table.md"
    card.write_text(TEXT.format(digests=digests, **facts), encoding="utf-8")
    return card
