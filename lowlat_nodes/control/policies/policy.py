# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The interface of a policy, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Floats


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
    """

    joints: tuple[str, ...]
    state_fields: tuple[str, ...]
    images: Mapping[str, ImageSpec]
    takes_task: bool
    horizon: int
    action_period_ns: int
    delta: tuple[bool, ...]


@dataclass(slots=True, eq=False)
class Observation:
    """What a policy sees.

    Attributes:
        state: float32 [fields * joints], in the policy's units.
        images: uint8 [height, width, 3], rgb, by feature name.
        task: What to do.
        request: Number of the request; seeds whatever is random, so that a replay repeats it.
    """

    state: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    task: str = ""
    request: int = 0


class Policy(Protocol):
    """Turns an observation into a chunk of actions; used by one thread."""

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
