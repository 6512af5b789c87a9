# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints for tests, and a Python that has a stand-in for LeRobot; see `lerobot_stand_in`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

STAND_IN = Path(__file__).parent / "lerobot_stand_in"
HEIGHT, WIDTH = 48, 64
ROWS = 10
STEPS = {"steps": [{"registry_name": "to_batch_processor", "config": {}}]}


def write_checkpoint(
    folder: Path,
    *,
    joints: int = 2,
    weights: dict[str, np.ndarray] | None = None,
    images: dict[str, list[int]] | None = None,
    steps: Any = STEPS,
    **config: Any,
) -> Path:
    """Write a checkpoint of the stand-in whose actions are its state, and go on from there.

    Args:
        folder: Where.
        joints: Numbers of the state and of an action.
        weights: Its weights, float32.
        images: Shape of each image by name.
        steps: Content of both processors.
        config: Changes of its configuration.
    """
    folder.mkdir(exist_ok=True)
    shapes = {"observation.images.top": [3, HEIGHT, WIDTH]} if images is None else images
    inputs = {name: {"type": "VISUAL", "shape": shape} for name, shape in shapes.items()}
    fields = {
        "type": "act",
        "n_obs_steps": 1,
        "chunk_size": ROWS,
        "input_features": {"observation.state": {"type": "STATE", "shape": [joints]}, **inputs},
        "output_features": {"action": {"type": "ACTION", "shape": [joints]}},
    }
    (folder / "config.json").write_text(json.dumps(fields | config))
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (folder / name).write_text(json.dumps(steps))
    (folder / "model.safetensors").write_bytes(_safetensors(weights or {"gain.weight": np.eye(joints)}))
    return folder


def python_with_stand_in(folder: Path, library: Path = STAND_IN) -> Path:
    """Write a program that is a Python which finds a library; no other way leads into that environment."""
    program = folder / "python"
    command = f"PYTHONPATH={shlex.quote(str(library))} exec {shlex.quote(sys.executable)}"
    program.write_text(f'#!/bin/sh\n{command} "$@"\n')
    program.chmod(0o755)
    return program


def _safetensors(weights: dict[str, np.ndarray]) -> bytes:
    header: dict[str, Any] = {}
    body = b""
    for name, weight in weights.items():
        data = weight.astype("<f4").tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body
