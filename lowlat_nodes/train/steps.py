# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A trained policy as a TorchScript program in which the number of Euler steps is an input.

The files of `export` hold a fixed number of steps, each written out. With more steps a chunk follows the flow
more closely and takes as much longer; with fewer it is there sooner.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from lowlat_nodes.inference import torchscript
from lowlat_nodes.inference.tokens import TOKENS
from lowlat_nodes.sim.camera import CameraConfig
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.flow import Head, Sight
from lowlat_nodes.train.loading import PolicyNetworks

_UNCONDITIONED = ("vlash", "vlash_last_action")


class _ToTargets(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return self.head.to_targets(x, state)


class _Steps(nn.Module):
    """The loop, around traced parts: tracing would write it out."""

    def __init__(self, see: nn.Module, denoise: nn.Module, to_targets: nn.Module) -> None:
        super().__init__()
        self.see = see
        self.denoise = denoise
        self.to_targets = to_targets

    @torch.jit.export
    def begin(
        self,
        state: Tensor,
        image: Tensor,
        tokens: Tensor,
        noise: Tensor,
        steps: Tensor,  # noqa: ARG002 # the same as of forward, see `inference.segments.stepped`
    ) -> list[Tensor]:
        return [noise.flatten(1), self.see(image, tokens), state]

    @torch.jit.export
    def step(self, number: int, count: int, alive: list[Tensor]) -> list[Tensor]:
        x, features, state = alive[0], alive[1], alive[2]
        time = torch.full_like(x[:, :1], number / count)
        x = x + (self.denoise(x, time, features, state) - x) / (count - number)
        return [x, features, state]

    @torch.jit.export
    def end(self, alive: list[Tensor]) -> Tensor:
        made: Tensor = self.to_targets(alive[0], alive[2])
        return made

    def forward(self, state: Tensor, image: Tensor, tokens: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        alive = self.begin(state, image, tokens, noise, steps)
        count = int(steps[0])
        for number in range(count):
            alive = self.step(number, count, alive)
        return self.end(alive)


def write_program(policy: PolicyNetworks, path: Path) -> None:
    """Write a policy of `loading.load_networks` for `policy.kind: torch`, with an input `steps`.

    Raises:
        ConfigurationError: If it is told more than image, state and task.
    """
    if policy.variant not in _UNCONDITIONED:
        raise ConfigurationError(
            f"{policy.path}: expected a policy that is told image, state and task alone, one of "
            f"{', '.join(_UNCONDITIONED)}, got {policy.variant}"
        )
    head, config, camera = policy.head.eval(), policy.head.config, CameraConfig()
    chunk = config.horizon * config.joints
    examples = {
        "state": torch.zeros(1, 2 * config.joints),
        "image": torch.zeros(1, camera.height_px, camera.width_px, 3, dtype=torch.uint8),
        "tokens": torch.zeros(1, TOKENS, dtype=torch.int64),
        "noise": torch.zeros(1, config.horizon, config.joints),
        "steps": torch.tensor([config.steps]),
    }
    x, time = torch.zeros(1, chunk), torch.zeros(1, 1)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; see `inference.torchscript`
        see = torch.jit.trace(Sight(policy.encoder.eval()), (examples["image"], examples["tokens"]))
        features = see(examples["image"], examples["tokens"])
        denoise = torch.jit.trace(head, (x, time, features, examples["state"]))
        to_targets = torch.jit.trace(_ToTargets(head), (x, examples["state"]))
        program = torch.jit.script(_Steps(see, denoise, to_targets))
        torchscript.save(program, path, examples, {**policy.contract, "steps": str(config.steps)})
