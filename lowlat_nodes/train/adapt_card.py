# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The card beside an adapted policy: from what it was made, how, and how closely it fits."""

from __future__ import annotations

TEXT = """\
---
name: {name}
sha256: {sha256}
base: {base}
base_sha256: {base_sha256}
command: {command}
seed: {seed}
libraries: {libraries}
---

# {name}

`{base}` of `lowlat train policy` (variant `{variant}`), adapted to a robot by `lowlat train adapt`. Inputs,
outputs and metadata are those of the base, whose licence and limits apply; its card describes them. The
joints are {joints}.

| | |
|---|---|
| adapters | {kind}{rank}, in the {parts}; merged into the weights |
| trained | {trained} numbers beside {frozen} frozen ones |
| gradient steps | {steps} of {batch} samples, learning rate {learning_rate:g} |
| dataset | {dataset}: {frames} frames at {fps} a second, image `{camera}`{robot} |
| episodes | {episodes_trained} trained on, {episodes_held_out} held out |
| loss of the last steps | {loss:.5f} |
| held-out error before | {before_rad:.4f} rad |
| held-out error after | {after_rad:.4f} rad |
| rounding | the file differs from torch by at most {rounding_rad:.1e} rad |

Tasks: {tasks}.

The held-out error is the mean over joints and rows of the absolute difference between the policy's targets
and the recorded commands, in episodes that were not trained on. It says how well the policy imitates, not how
well it does the task: try it on the robot with low limits first.
"""
