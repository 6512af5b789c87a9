# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets of a robot that goes to one place, for the tests that adapt policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

GOAL = np.array([0.6, -0.4, 0.3])
NAMES = ("shoulder", "elbow", "wrist")


@pytest.fixture(scope="session")
def record_robot() -> Callable[..., Path]:
    """Return what writes a dataset; `shift` says by how much its joints' zeros are off, in rad."""
    pytest.importorskip("pyarrow")
    from lowlat_nodes.transport.dataset import DatasetWriter, Layout

    def write(
        folder: Path,
        *,
        shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
        episodes: int = 10,
        frames: int = 30,
        fps: int = 50,
        names: tuple[str, ...] = NAMES,
        velocities: bool = True,
        size: tuple[int, int] = (120, 160),
        steps: bool = False,
        unit: float = 1.0,
    ) -> Path:
        random = np.random.default_rng(3)
        positions = tuple(f"{name}.pos" if name else "" for name in names)
        rates = tuple(f"{name}.vel" if name else "" for name in names) if velocities else ()
        layout = Layout(fps, positions + rates, positions, {"front": size}, "lab arm")
        image = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        with DatasetWriter(folder, layout) as writer:
            for _ in range(episodes):
                writer.begin()
                q = random.uniform(-1.2, 1.2, len(names))
                for _ in range(frames):
                    target = q + 0.15 * (GOAL[: len(names)] - q)
                    position, action = q + shift, target - q if steps else target + shift
                    state = np.concatenate([position, (target - q) * fps]) if velocities else position
                    writer.add(
                        (unit * state).astype(np.float32),
                        (unit * action).astype(np.float32),
                        {"front": image},
                        "go there",
                    )
                    q = target
        return folder

    return write
