# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 # programs take what their schema says
"""TorchScript programs step by step, and those that have no steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.inference.segments.stepped import SteppedModel
from lowlat_nodes.inference.torchscript import TorchModel, save
from lowlat_nodes.inference.turn import Unshared
from lowlat_nodes.stream.errors import ConfigurationError

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")]

Tensors = list[torch.Tensor]


class Counting(Unshared):
    def __init__(self) -> None:
        self.gaps = 0

    def between(self) -> None:
        self.gaps += 1


class Halving(torch.nn.Module):
    """Halves the way to the goal so many times."""

    @torch.jit.export
    def begin(self, state: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> Tensors:
        return [noise, state * 2.0]

    @torch.jit.export
    def step(self, number: int, count: int, alive: Tensors) -> Tensors:
        return [alive[0] + (alive[1] - alive[0]) / 2.0 + number / count, alive[1]]

    @torch.jit.export
    def end(self, alive: Tensors) -> torch.Tensor:
        return alive[0] - 1.0

    def forward(self, state: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        alive = self.begin(state, noise, steps)
        count = int(steps[0])
        for number in range(count):
            alive = self.step(number, count, alive)
        return self.end(alive)


class Whole(torch.nn.Module):
    def forward(self, state: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return state + noise


class Misnumbered(Halving):
    @torch.jit.export
    def step(self, number: float, count: int, alive: Tensors) -> Tensors:
        return alive

    def forward(self, state: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return state


class Writing(Halving):
    """Reaches for a file, in a method that forward does not call."""

    @torch.jit.export
    def end(self, alive: Tensors) -> torch.Tensor:
        return torch.from_file("secret", False, 4) + alive[0]

    def forward(self, state: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return state


@pytest.fixture
def program(tmp_path: Path) -> Callable[[Any], Path]:
    def write(module: Any) -> Path:
        inputs = {"state": torch.zeros(1, 4), "noise": torch.zeros(1, 4), "steps": torch.tensor([3])}
        save(torch.jit.script(module), tmp_path / "program.pt", inputs)
        return tmp_path / "program.pt"

    return write


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_it_makes_what_the_whole_makes_and_gives_way_after_each_step(
    steps: int, program: Callable[[Any], Path]
) -> None:
    path, turn = program(Halving()), Counting()
    whole, stepped = TorchModel(path), SteppedModel(path, turn=turn)
    assert turn.gaps == 0  # nobody waits while it is tried
    assert (stepped.inputs, stepped.outputs) == (whole.inputs, whole.outputs)
    random = np.random.default_rng(steps)
    feed = {name: random.normal(size=(1, 4)).astype(np.float32) for name in ("state", "noise")}
    feed["steps"] = np.array([steps])
    np.testing.assert_array_equal(stepped.run(feed, ["actions"])[0], whole.run(feed, ["actions"])[0])
    assert turn.gaps == steps + 1


def test_what_has_no_steps_is_refused(program: Callable[[Any], Path]) -> None:
    path = program(Whole())
    with pytest.raises(ConfigurationError, match=r"turn\.segment_ms.* has no begin, step, end"):
        SteppedModel(path)
    assert TorchModel(path)


def test_steps_that_take_something_else_are_refused(program: Callable[[Any], Path]) -> None:
    with pytest.raises(ConfigurationError, match=r"step to take int, int, List\[Tensor\].*it takes float"):
        SteppedModel(program(Misnumbered()))


def test_each_method_is_looked_through_for_what_could_harm(program: Callable[[Any], Path]) -> None:
    path = program(Writing())
    assert TorchModel(path)  # its forward is harmless
    with pytest.raises(ConfigurationError, match="aten::from_file"):
        SteppedModel(path)
