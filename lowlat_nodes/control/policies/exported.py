# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy in an exported program: an ONNX file, or any other `Model`.

Inputs are found by name: `state` float32 [B, fields * joints]; images uint8 [B, height, width, 3], or float32
[B, 3, height, width] in 0..1; `tokens` int64 [B, 12] (`inference.tokens`); `noise` float32 [B, horizon,
joints]; the delay and the plan to continue as in `exported_conditions`. The output `actions` is float32 [B,
horizon, joints]. The batch B is 1, or left open. Joint names, action period and kind stand in the metadata
(`lowlat train policy` writes them) or in the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.exported_conditions import INPUTS, ExportedConditions
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.inference.model import LaunchTimes, Model, TensorSpec
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.tokens import SCHEME, tokenize
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

_RESERVED = ("state", "tokens", "noise", *INPUTS)


class ExportedPolicy:
    """Runs an exported policy.

    Args:
        path: The .onnx file; where `model` is given, what errors call it.
        threads: Threads of ONNX Runtime.
        seed: Seed of the noise that flow-matching and diffusion policies start from.
        noise_scale: Its standard deviation; 0 makes the policy deterministic.
        action_period_ns: Only where the file does not say it; a file that says another is refused.
        action_kind: `absolute` or `delta`; likewise.
        guidance: How a graph with that choice draws a chunk to the plan: `vjp` or `identity`.
        steps: In how many steps a graph with that choice makes a chunk of noise; 0: as the file says.
        model: Runs in place of ONNX Runtime: a TorchScript program, a graph in segments.

    Attributes:
        batched: Whether `infer_batch` takes more than one observation.

    Raises:
        ConfigurationError: If inputs, outputs or metadata do not make a policy.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        seed: int = 0,
        noise_scale: float = 1.0,
        action_period_ns: int = 0,
        action_kind: str = "",
        guidance: str = "vjp",
        steps: int = 0,
        model: Model | None = None,
    ) -> None:
        self._model: Model = model or OnnxModel(path, threads=threads)
        self._seed = seed
        self._noise_scale = noise_scale
        inputs, metadata = self._model.inputs, self._model.metadata
        if "actions" not in self._model.outputs or "state" not in inputs:
            raise ConfigurationError(
                f"{path}: expected an input 'state' and an output 'actions', found inputs {list(inputs)} "
                f"and outputs {list(self._model.outputs)}"
            )
        _, horizon, joints = sizes(path, self._model.outputs["actions"], 3)
        _, state_size = sizes(path, inputs["state"], 2)
        self._images = {name: item for name, item in inputs.items() if name not in _RESERVED}
        fields = tuple(filter(None, metadata.get("state_layout", "position").split(",")))
        if state_size != len(fields) * joints:
            raise ConfigurationError(
                f"{path}: {joints} joints with state {', '.join(fields)} make "
                f"{len(fields) * joints} numbers, but its input 'state' takes {state_size}"
            )
        if "tokens" in inputs and metadata.get("token_scheme", SCHEME) != SCHEME:
            raise ConfigurationError(
                f"{path}: expected tokens of scheme {SCHEME}, its metadata says {metadata['token_scheme']}"
            )
        period_ns = _either(path, "action_dt_ns", metadata, str(action_period_ns or ""))
        kind = _either(path, "action_kind", metadata, action_kind)
        if kind not in ("absolute", "delta") or not period_ns.isdigit() or int(period_ns) < 1:
            raise ConfigurationError(
                f"{path}: expected an action period in ns and an action kind 'absolute' or 'delta', got "
                f"{period_ns!r} and {kind!r}"
            )
        self._noise_shape = (horizon, joints)
        self._conditions = ExportedConditions(
            path, inputs, metadata, horizon=horizon, joints=joints, guidance=guidance, steps=steps
        )
        batches = [item for name, item in inputs.items() if name != "steps"]
        tensors = [*batches, self._model.outputs["actions"]]
        self.batched = all(item.shape[:1] == (0,) for item in tensors)
        self.spec = PolicySpec(
            joints=tuple(filter(None, metadata.get("joint_names", "").split(","))),
            state_fields=fields,
            images={name: image_spec(path, item, _RESERVED) for name, item in self._images.items()},
            takes_task="tokens" in inputs,
            horizon=horizon,
            action_period_ns=int(period_ns),
            delta=(kind == "delta",) * joints,
            accepts=self._conditions.accepts,
            steps=self._conditions.steps,
        )

    @property
    def launch(self) -> LaunchTimes | None:
        """Return what the newest inference cost host and device to launch, None where it is not known."""
        times: LaunchTimes | None = getattr(self._model, "launch", None)
        return times

    @property
    def not_graphed(self) -> str:
        """Return why the newest inference was no CUDA graph, where it was to be one; else nothing."""
        reason: str = getattr(self._model, "not_graphed", "")
        return reason

    def infer(self, observation: Observation) -> Floats:
        """Return float64 [horizon, joints]."""
        actions: Floats = self.infer_batch([observation])[0]
        return actions

    def infer_batch(self, observations: Sequence[Observation]) -> Floats:
        """Return the chunks of many observations from one run of the graph, float64 [n, horizon, joints].

        Raises:
            ValueError: If there are none, or several and the graph does not leave its batch open.
        """
        if len(observations) != 1 and not (observations and self.batched):
            raise ValueError(
                f"{self._model.path}: expected one observation{' or more' if self.batched else ''}, got "
                f"{len(observations)}"
            )
        feed = self._conditions.feed(observations)
        feed["state"] = np.stack([each.state for each in observations])
        for name, item in self._images.items():
            feed[name] = image_batch(item, np.stack([each.images[name] for each in observations]))
        if "tokens" in self._model.inputs:
            feed["tokens"] = np.stack([tokenize(each.task) for each in observations])
        if "noise" in self._model.inputs:
            feed["noise"] = np.stack([self._noise(each.request) for each in observations])
        actions: Floats = self._model.run(feed, ["actions"])[0].astype(np.float64)
        return actions

    def _noise(self, request: int) -> np.ndarray:
        if not self._noise_scale:
            return np.zeros(self._noise_shape, np.float32)
        random = np.random.default_rng((self._seed, request))
        noise = random.standard_normal(self._noise_shape, np.float32)
        noise *= np.float32(self._noise_scale)
        return noise


def _either(path: Path, key: str, metadata: dict[str, str], given: str) -> str:
    said = metadata.get(key, "")
    if said and given and said != given:
        raise ConfigurationError(f"{path}: its metadata says {key} = {said}, the parameters say {given}")
    return said or given


def sizes(path: Path, item: TensorSpec, rank: int) -> tuple[int, ...]:
    """Return the sizes of an input or output, of which only the first may be open.

    Raises:
        ConfigurationError: If it has another rank, or an open size.
    """
    if len(item.shape) != rank or 0 in item.shape[1:]:
        raise ConfigurationError(
            f"{path}: expected {item.name!r} to have {rank} dimensions of fixed size after the first, got "
            f"{list(item.shape)} (0: open)"
        )
    return item.shape


def image_spec(path: Path, item: TensorSpec, others: Sequence[str]) -> ImageSpec:
    """Return what image an input takes that is none of the other inputs that one knows.

    Raises:
        ConfigurationError: If it takes none.
    """
    shape = sizes(path, item, 4)
    if item.dtype is np.uint8 and shape[3] == 3:
        return ImageSpec(shape[1], shape[2])
    if item.dtype in (np.float32, np.float16) and shape[1] == 3:
        return ImageSpec(shape[2], shape[3])
    raise ConfigurationError(
        f"{path}: input {item.name!r} is neither {', '.join(others)} nor an image (uint8 [1, H, W, 3] or "
        f"float [1, 3, H, W]): {item.dtype.__name__} {list(shape)}"
    )


def image_batch(item: TensorSpec, images: NDArray[np.uint8]) -> NDArray[Any]:
    """Return images uint8 [B, height, width, 3] as an input takes them."""
    if item.dtype is np.uint8:
        return images
    planes: NDArray[Any] = (images.transpose(0, 3, 1, 2) * np.float32(1 / 255)).astype(item.dtype)
    return planes
