# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot checkpoint in a local directory, in a process and an environment of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats
from lowlat_nodes.stream.requester import AnswerRefused, Requester

SERVER = Path(__file__).parent / "lerobot_server.py"

_STATE = "observation.state"
_PREFIXES = ("observation.images.", "observation.")
_LARGEST = 100_000


@dataclass(frozen=True)
class LerobotConfig:
    """Which checkpoint, and who runs it."""

    directory: str = setting("", doc="The checkpoint: the folder with config.json and model.safetensors.")
    python: str = setting("", doc="Python of an environment with LeRobot, such as ~/lerobot/bin/python.")
    state_fields: tuple[str, ...] = setting(
        ("position",), doc="What the checkpoint's state holds of all joints, one after the other."
    )

    def command(self, *, device: str, threads: int, seed: int, noise_scale: float) -> list[str]:
        """Return the program that runs the checkpoint, but for its last argument, the descriptor."""
        options = {
            "directory": str(Path(self.directory).expanduser().absolute()),
            "device": device,
            "threads": threads,
            "seed": seed,
            "noise_scale": noise_scale,
        }
        return [str(Path(self.python).expanduser()), str(SERVER), json.dumps(options)]


class LerobotPolicy:
    """Asks the process of a checkpoint for each chunk, and takes only what fits.

    The feature of an image is what follows `observation.images.` in its name. Joints have no names in a
    checkpoint: they have the order of the data set.

    Args:
        requester: Asks the process; this policy closes it.
        config: The checkpoint.
        action_period_ns: Time between actions, the data set's period: the checkpoint does not say it.
        action_kind: `absolute` (also if empty) or `delta`.
        timeout_ns: How long an inference may take.

    Raises:
        ConfigurationError: If the checkpoint is none, cannot be loaded or does not fit the parameters.
        RequestError: If the process ends, or is not ready in time.
    """

    def __init__(
        self,
        requester: Requester,
        config: LerobotConfig,
        *,
        action_period_ns: int,
        action_kind: str,
        timeout_ns: int,
    ) -> None:
        if not action_period_ns:
            raise ConfigurationError(
                "policy.action_period_ms must be given: a checkpoint of LeRobot does not say it; 1000 / fps "
                "of the data set that it was trained on"
            )
        self._requester = requester
        self._timeout_ns = timeout_ns
        said = requester.describe()
        self._names, images = _images(said)
        state, joints, rows = (_number(said, key) for key in ("state", "action", "rows"))
        if state != len(config.state_fields) * joints:
            raise ConfigurationError(
                f"policy.lerobot.state_fields: {', '.join(config.state_fields)} of {joints} joints make "
                f"{len(config.state_fields) * joints} numbers, but the checkpoint's state has {state}"
            )
        self.spec = PolicySpec(
            joints=(),
            state_fields=config.state_fields,
            images=images,
            takes_task=bool(said.get("takes_task")),
            horizon=rows,
            action_period_ns=action_period_ns,
            delta=(action_kind == "delta",) * joints,
        )

    def infer(self, observation: Observation) -> Floats:
        """Return float64 [horizon, joints].

        Raises:
            RequestError: If there is no usable answer in time.
        """
        images = {name: observation.images[feature] for feature, name in self._names.items()}
        request = {
            _STATE: observation.state,
            **images,
            "task": observation.task,
            "number": observation.request,
        }
        answer = self._requester.request(request, deadline_ns=time.monotonic_ns() + self._timeout_ns)
        actions, shape = answer.get("actions"), (self.spec.horizon, len(self.spec.delta))
        if not isinstance(actions, np.ndarray) or actions.dtype != np.float32 or actions.shape != shape:
            raise AnswerRefused(
                f"expected float32 actions of shape {shape}, got {getattr(actions, 'shape', None)}"
            )
        if not np.isfinite(actions).all():
            raise AnswerRefused("expected finite actions, got NaN or infinity")
        return actions.astype(np.float64)

    def close(self) -> None:
        """End the process."""
        self._requester.close()


def _images(said: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, ImageSpec]]:
    """Return the checkpoint's name and the size of each image by feature name."""
    names: dict[str, str] = {}
    sizes: dict[str, ImageSpec] = {}
    images = said.get("images")
    for name, size in images.items() if isinstance(images, dict) else ():
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")
        feature = name.removeprefix(prefix)
        if feature in names or not isinstance(size, list) or len(size) != 2:
            raise ConfigurationError(f"policy.lerobot: cannot take {name!r} of size {size!r:.80} as an image")
        names[feature] = name
        sizes[feature] = ImageSpec(*(_number({name: pixels}, name) for pixels in size))
    return names, sizes


def _number(said: Mapping[str, Any], key: str) -> int:
    value = said.get(key)
    if type(value) is not int or not 0 < value <= _LARGEST:
        raise ConfigurationError(f"policy.lerobot: expected {key} as a number, got {value!r:.80}")
    return value
