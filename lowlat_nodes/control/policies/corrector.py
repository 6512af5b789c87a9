# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A residual head in an ONNX file: what to add to a planned target, seen from the newest observation.

The plan of a chunk is as old as the observation that it was made from. A light head that runs at every tick
looks at what the robot sees now and corrects it (asynchronous action chunk correction, A2C2, 2509.23224).

Inputs are found by name: `state` float32 [B, fields * joints]; `planned` float32 [B, rows, joints], the
targets of the plan for the tick and the action periods after it; `age` float32 [B, 1], for how many action
periods the plan has not looked; images as in `exported`; `tokens` int64 [B, 12] (`inference.tokens`). The
output `correction` is float32 [B, joints], to be added to the target of the tick. B is 1 or open. Joint names
and action period stand in the metadata as for a policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.control.policies.exported import image_batch, image_spec, sizes
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.tokens import SCHEME, tokenize
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

_KNOWN = ("state", "planned", "age", "tokens")


@dataclass(frozen=True)
class CorrectorConfig:
    """Which corrector, and how far it is trusted."""

    model: str = setting(
        "", doc="Path of an .onnx file, or the name of a shipped one, that corrects the plan; empty for none."
    )
    threads: int = setting(1, doc="Threads of one correction.", low=1, high=64)
    timeout_ms: float = setting(
        50.0, doc="How long after its tick a correction still counts.", unit="ms", low=0.0, high=10_000.0
    )
    max_correction: float = setting(
        0.0, doc="Largest correction of a joint; 0 for any.", unit="rad or m", low=0.0
    )


@dataclass(slots=True, eq=False)
class Glance:
    """What a corrector sees at a tick.

    Attributes:
        state: float32 [fields * joints], in the policy's units.
        planned: float64 [rows, joints], the plan from the tick on, in the policy's units.
        age: How many action periods before the tick the observation behind the plan was captured.
        images: uint8 [height, width, 3], rgb, by feature name.
        task: What to do.
    """

    state: NDArray[np.float32]
    planned: Floats
    age: float
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    task: str = ""


class OnnxCorrector:
    """Runs an exported corrector with ONNX Runtime.

    Args:
        path: The .onnx file.
        policy: The policy whose plans it corrects.
        threads: Threads of ONNX Runtime.
        model: Runs in place of the file.

    Attributes:
        spec: What it expects, as that of a policy whose chunk is the correction's `planned`.

    Raises:
        ConfigurationError: If inputs, outputs or metadata make no corrector, or one for other plans.
    """

    def __init__(
        self, path: Path, policy: PolicySpec, *, threads: int = 1, model: OnnxModel | None = None
    ) -> None:
        self._model = model or OnnxModel(path, threads=threads)
        inputs, metadata = self._model.inputs, self._model.metadata
        if "correction" not in self._model.outputs or not {"state", "planned", "age"} <= inputs.keys():
            raise ConfigurationError(
                f"{path}: expected inputs 'state', 'planned' and 'age' and an output 'correction', found "
                f"inputs {list(inputs)} and outputs {list(self._model.outputs)}"
            )
        images = {name: item for name, item in inputs.items() if name not in _KNOWN}
        batch, joints = sizes(path, self._model.outputs["correction"], 2)
        rows = sizes(path, inputs["planned"], 3)[1]
        fields = tuple(filter(None, metadata.get("state_layout", "position,velocity").split(",")))
        expected = {"state": (len(fields) * joints,), "planned": (rows, joints), "age": (1,)}
        for name, size in expected.items():
            if sizes(path, inputs[name], 1 + len(size))[1:] != size:
                raise ConfigurationError(
                    f"{path}: a correction of {joints} joints with state {', '.join(fields)} needs an input "
                    f"{name!r} of shape {['B', *size]}, got {list(inputs[name].shape)}"
                )
        if batch > 1 or any(item.shape[0] != batch for item in inputs.values()):
            raise ConfigurationError(
                f"{path}: expected the first dimension of all inputs and of 'correction' to be 1, or open, "
                f"got {[item.shape[0] for item in inputs.values()]} and {batch} (0: open)"
            )
        if metadata.get("token_scheme", SCHEME) != SCHEME:
            raise ConfigurationError(
                f"{path}: expected tokens of scheme {SCHEME}, its metadata says {metadata['token_scheme']}"
            )
        names = tuple(filter(None, metadata.get("joint_names", "").split(",")))
        period = metadata.get("action_dt_ns", str(policy.action_period_ns))
        _check_policy(path, policy, names, joints, period)
        self._batched = batch == 0
        self._images = images
        self.spec = PolicySpec(
            joints=names or policy.joints,
            state_fields=fields,
            images={name: image_spec(path, item, _KNOWN) for name, item in images.items()},
            takes_task="tokens" in inputs,
            horizon=rows,
            action_period_ns=policy.action_period_ns,
            delta=(False,) * joints,
        )

    def correct(self, glances: Sequence[Glance]) -> Floats:
        """Return float64 [len(glances), joints], what to add to the first row of each plan.

        Several go through the graph together where its first dimension is open.
        """
        if self._batched:
            return self._run(glances)
        return np.concatenate([self._run([glance]) for glance in glances])

    def _run(self, glances: Sequence[Glance]) -> Floats:
        feed: dict[str, np.ndarray] = {
            "state": np.stack([glance.state for glance in glances]),
            "planned": np.stack([glance.planned for glance in glances]).astype(np.float32),
            "age": np.array([[glance.age] for glance in glances], np.float32),
        }
        for name, item in self._images.items():
            feed[name] = image_batch(item, np.stack([glance.images[name] for glance in glances]))
        if self.spec.takes_task:
            feed["tokens"] = np.stack([tokenize(glance.task) for glance in glances])
        correction: Floats = self._model.run(feed, ["correction"])[0].astype(np.float64)
        return correction


def load_corrector(config: CorrectorConfig, policy: PolicySpec) -> OnnxCorrector:
    """Return the corrector that the parameters name, for the plans of a policy.

    Raises:
        ConfigurationError: If it cannot be loaded or is for other plans.
    """
    return OnnxCorrector(resources.model(config.model), policy, threads=config.threads)


def _check_policy(path: Path, policy: PolicySpec, names: tuple[str, ...], joints: int, period: str) -> None:
    if joints != len(policy.delta) or (names and policy.joints and names != policy.joints):
        raise ConfigurationError(
            f"{path}: expected a corrector of the policy's {len(policy.delta)} joints {list(policy.joints)}, "
            f"it corrects {joints}: {list(names)}"
        )
    if period != str(policy.action_period_ns):
        raise ConfigurationError(
            f"{path}: expected a corrector of plans whose actions are {policy.action_period_ns} ns apart, as "
            f"the policy's, its metadata says action_dt_ns = {period}"
        )
