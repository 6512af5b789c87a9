# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Of the stand-in: a policy whose chunk is a matrix times the state, and what goes wrong as the task says."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import load

SPEED = 0.02  # of the first joint, from row to row


class Policy(torch.nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self._config = config
        (state,), (action,) = (
            config.input_features["observation.state"].shape,
            config.output_features["action"].shape,
        )
        self.gain = torch.nn.Linear(state, action, bias=False)
        self.tied = self.gain

    @classmethod
    def from_pretrained(cls, path: str, *, config: Any) -> Policy:
        if config.pretrained_backbone_weights:
            raise OSError("there is no hub")
        policy = cls(config)
        weights = load(Path(path) / "model.safetensors")
        policy.load_state_dict(weights, strict=False)  # as LeRobot does
        return policy.to(config.device).eval()

    def reset(self) -> None: ...

    def predict_action_chunk(self, batch: dict[str, Any], noise: Any = None) -> torch.Tensor:
        (task,) = batch["task"]
        state = batch["observation.state"]
        rows = self._config.chunk_size
        chunk = self.gain(state)[:, None] + SPEED * torch.arange(1, rows + 1)[None, :, None]
        for name in self._config.image_features:
            chunk = chunk + batch[name].mean() if name in batch else chunk
        if noise is not None:
            chunk = chunk + noise[:, :, : chunk.shape[2]]
        if task == "raise":
            raise RuntimeError("CUDA out of memory")
        if task == "die":
            os.abort()
        if task == "hang":
            time.sleep(600.0)
        if task == "nan":
            chunk[0, 1] = float("nan")
        if task == "shape":
            return chunk[:, :, :1]
        return chunk[:, :1] if task == "rows" else chunk


class Processor:
    def reset(self) -> None: ...

    def __call__(self, batch: Any) -> Any:
        return batch


def get_policy_class(kind: str) -> type[Policy]:
    if kind == "pi0":
        import transformers_of_pi0  # noqa: F401, not installed, like what the real one needs
    return Policy


def make_pre_post_processors(config: Any, **_options: Any) -> tuple[Processor, Processor]:
    assert config.pretrained_path.is_dir()
    return Processor(), Processor()
