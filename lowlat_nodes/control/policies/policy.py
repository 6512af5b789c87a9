# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The interface of a policy, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

T = TypeVar("T")

CONDITIONS = ("delay", "prefix", "guidance", "steps")
"""What a policy may accept besides the observation; see `PolicySpec.accepts`."""

MOST_STEPS = 1000
"""Nobody may ask for more."""


@dataclass(frozen=True)
class ImageSpec:
    """The image that a policy takes: rgb8 of this size."""

    height: int
    width: int


@dataclass(frozen=True)
class PolicySpec:
    """What a policy expects and gives; compared with the contracts at configure.

    Attributes:
        joints: Names of the action columns and of the joints in the state, in order; empty if not known.
        state_fields: Which quantities of all joints make the state, one after the other.
        images: The images by feature name.
        takes_task: Whether the task text matters.
        horizon: Rows of a chunk.
        action_period_ns: Time between rows.
        delta: For each joint, whether its action is a step from the target before.
        accepts: Which of `CONDITIONS` it makes use of: `delay`, how old its images will be when the chunk
            begins; `prefix`, clean first rows that the chunk continues; `guidance`, a plan that the chunk
            is drawn to; `steps`, in how many steps it is to make the chunk of noise.
        steps: In how many it does unless told; 0 where nobody can choose.
    """

    joints: tuple[str, ...]
    state_fields: tuple[str, ...]
    images: Mapping[str, ImageSpec]
    takes_task: bool
    horizon: int
    action_period_ns: int
    delta: tuple[bool, ...]
    accepts: tuple[str, ...] = ()
    steps: int = 0

    def to_plain(self) -> dict[str, Any]:
        """Return the specification as lists, maps, text and numbers."""
        return {
            "joints": list(self.joints),
            "state_fields": list(self.state_fields),
            "images": {name: [size.height, size.width] for name, size in self.images.items()},
            "takes_task": self.takes_task,
            "horizon": self.horizon,
            "action_period_ns": self.action_period_ns,
            "delta": list(self.delta),
            "accepts": list(self.accepts),
            "steps": self.steps,
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> PolicySpec:
        """Return the reverse of `to_plain`, of another process or a server.

        Raises:
            ConfigurationError: If anything is missing or of another type.
        """
        try:
            spec = PolicySpec(
                joints=_all(str, plain["joints"]),
                state_fields=_all(str, plain["state_fields"]),
                images={name: ImageSpec(*_all(int, size)) for name, size in plain["images"].items()},
                takes_task=_of_type(bool, plain["takes_task"]),
                horizon=_of_type(int, plain["horizon"]),
                action_period_ns=_of_type(int, plain["action_period_ns"]),
                delta=_all(bool, plain["delta"]),
                accepts=_all(str, plain.get("accepts", [])),
                steps=_of_type(int, plain.get("steps", 0)),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"expected the specification of a policy: {error}") from error
        if not spec.delta or len(spec.joints) not in (0, len(spec.delta)):
            raise ConfigurationError(
                f"expected a policy that moves joints, got {list(spec.joints)} and {len(spec.delta)} actions"
            )
        unknown = [name for name in spec.accepts if name not in CONDITIONS]
        if unknown:
            raise ConfigurationError(f"expected a policy that accepts some of {CONDITIONS}, got {unknown}")
        if ("steps" in spec.accepts) != (0 < spec.steps <= MOST_STEPS):
            raise ConfigurationError(
                f"expected 1 to {MOST_STEPS} steps of a policy that accepts steps, and 0 of others, got "
                f"{spec.steps} and {list(spec.accepts)}"
            )
        return spec


def _of_type(kind: type[T], value: Any) -> T:
    if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 1 << 63):
        raise TypeError(f"expected {kind.__name__}, got {value!r:.80}")
    return value


def _all(kind: type[T], values: Any) -> tuple[T, ...]:
    return tuple(_of_type(kind, value) for value in _of_type(list, values))


@dataclass(slots=True, eq=False)
class Observation:
    """What a policy sees.

    Attributes:
        state: float32 [fields * joints], in the policy's units.
        images: uint8 [height, width, 3], rgb, by feature name.
        task: What to do.
        request: Number of the request; seeds whatever is random, so that a replay repeats it.
        delay_rows: How much later than its oldest image the chunk begins, in action periods.
        decided: float64 [n, joints], the present plan from row 0 of the chunk on, in the policy's units; no
            rows where the strategy does not continue the plan, or nothing is planned.
        committed: How many of those rows are executed whatever the policy answers.
        steps: In how many steps the chunk is to be made; 0: as the policy is configured.
    """

    state: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    task: str = ""
    request: int = 0
    delay_rows: float = 0.0
    decided: Floats | None = None
    committed: int = 0
    steps: int = 0


def blank_observation(spec: PolicySpec, task: str = "") -> Observation:
    """Return what a policy would see of an empty scene: zeros; for warming up."""
    return Observation(
        np.zeros(len(spec.state_fields) * len(spec.delta), np.float32),
        {name: np.zeros((size.height, size.width, 3), np.uint8) for name, size in spec.images.items()},
        task,
    )


class Policy(Protocol):
    """Turns an observation into a chunk of actions; used by one thread.

    One that launches kernels may have an attribute `launch`, the `inference.model.LaunchTimes` of its newest
    inference, None where they are not known.
    """

    @property
    def spec(self) -> PolicySpec:
        """Return what it expects and gives."""
        ...

    def infer(self, observation: Observation) -> Floats:
        """Return float64 [horizon, joints], actions in the policy's units."""
        ...


def infer(policy: Policy, observation: Observation) -> Floats:
    """Run a policy and return its actions, float64 [horizon, joints].

    Raises:
        ValueError: If they have another shape or type than the policy's `spec` says.
        Exception: Whatever the policy raises: it is foreign code.
    """
    shape = (policy.spec.horizon, len(policy.spec.delta))
    actions = policy.infer(observation)
    if actions.shape != shape or actions.dtype != np.float64:
        raise ValueError(f"expected float64 actions of shape {shape}, got {actions.dtype} {actions.shape}")
    return actions
