# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What an exported policy may take besides the observation: the delay, and the plan that it continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lowlat_nodes.control.policies.policy import MOST_STEPS, Observation
from lowlat_nodes.control.prefix import hard_prefix, soft_prefix
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError

INPUTS = ("delay", "decided", "weights", "jacobian", "steps")
GUIDANCES = ("vjp", "identity")

_PLAN_INPUTS = {"prefix": ("decided", "weights"), "guidance": ("decided", "weights", "jacobian")}


class ExportedConditions:
    """The conditions of one graph.

    ========== =================== =========================================================================
    `delay`    float32 [B, 1]      how much later than its oldest image the chunk begins, in rows
    `decided`  float32 [B, H, J]   the plan from row 0 of the chunk on, in the units of the actions; 0 where
                                   nothing is planned
    `weights`  float32 [B, H]      how much each of those rows counts; 0 where nothing is planned
    `jacobian` float32 [B, 1]      1: the correction goes through the network (a vector-Jacobian product, as
                                   in 2506.07339); 0: the Jacobian is taken as the identity, as LeRobot's
                                   implementation of that paper does
    `steps`    int64 [1]           in how many steps the chunk is made of noise; the metadata `steps` say how
                                   many are usual
    ========== =================== =========================================================================

    The metadata `decided_as` says how the plan is used. `prefix`: the policy learnt to continue clean first
    rows, whose weight is 1 (2512.05964). `guidance`: the chunk is drawn to the plan, by the weights of
    real-time chunking.

    Args:
        path: The file, for errors.
        inputs: All inputs of the graph.
        metadata: Its metadata.
        horizon: Rows of its chunks.
        joints: Columns of them.
        guidance: One of `GUIDANCES`.
        steps: How many to make where an observation does not say; 0: as the metadata say.

    Attributes:
        accepts: What `PolicySpec.accepts` shall say.
        steps: What `PolicySpec.steps` shall say.

    Raises:
        ConfigurationError: If one of these inputs has another shape or type, or lacks its company.
    """

    def __init__(
        self,
        path: Path,
        inputs: Mapping[str, TensorSpec],
        metadata: Mapping[str, str],
        *,
        horizon: int,
        joints: int,
        guidance: str,
        steps: int = 0,
    ) -> None:
        self._shape = (horizon, joints)
        self._names = tuple(name for name in INPUTS if name in inputs)
        plan = tuple(name for name in self._names if name not in ("delay", "steps"))
        self._kind = _plan_kind(path, plan, metadata)
        self._jacobian = float(guidance == "vjp")
        sizes = {"delay": (1,), "decided": self._shape, "weights": (horizon,), "jacobian": (1,)}
        for name in self._names:
            if name != "steps":
                _check(path, inputs[name], sizes[name])
        self.steps = _steps(path, inputs.get("steps"), metadata, steps)
        told = ("delay" if "delay" in inputs else "", self._kind, "steps" if self.steps else "")
        self.accepts = tuple(name for name in told if name)

    def feed(self, observations: Sequence[Observation]) -> dict[str, np.ndarray]:
        """Return the inputs for a batch of observations."""
        batch = len(observations)
        feed: dict[str, np.ndarray] = {}
        if "delay" in self._names:
            feed["delay"] = np.array([[each.delay_rows] for each in observations], np.float32)
        if self._kind:
            feed["decided"] = np.zeros((batch, *self._shape), np.float32)
            feed["weights"] = np.zeros((batch, self._shape[0]), np.float32)
            for index, each in enumerate(observations):
                known = 0 if each.decided is None else min(len(each.decided), self._shape[0])
                if each.decided is not None and known:
                    feed["decided"][index, :known] = each.decided[:known]
                    feed["weights"][index] = self._weights(min(each.committed, known), known)
        if "jacobian" in self._names:
            feed["jacobian"] = np.full((batch, 1), self._jacobian, np.float32)
        if self.steps:
            feed["steps"] = np.array([max(each.steps for each in observations) or self.steps])
        return feed

    def _weights(self, committed: int, known: int) -> np.ndarray:
        if self._kind == "prefix":
            return hard_prefix(committed, self._shape[0])
        return soft_prefix(committed, known, self._shape[0])


def _plan_kind(path: Path, found: tuple[str, ...], metadata: Mapping[str, str]) -> str:
    """Return how a graph uses the plan, empty for not at all."""
    kind = metadata.get("decided_as", "")
    if not found and not kind:
        return ""
    if kind not in _PLAN_INPUTS:
        raise ConfigurationError(
            f"{path}: expected decided_as = {' or '.join(_PLAN_INPUTS)} in the metadata of a graph with "
            f"inputs {list(found)}, got {kind!r}"
        )
    if found != _PLAN_INPUTS[kind]:
        raise ConfigurationError(
            f"{path}: expected inputs {list(_PLAN_INPUTS[kind])} with decided_as = {kind}, found "
            f"{list(found)}"
        )
    return kind


def _steps(path: Path, item: TensorSpec | None, metadata: Mapping[str, str], given: int) -> int:
    """Return how many steps a graph makes unless told; 0 where nobody can choose."""
    if item is None:
        if given:
            raise ConfigurationError(f"policy.steps: {path} has no input 'steps', leave it at 0")
        return 0
    if item.dtype is not np.int64 or item.shape != (1,):
        raise ConfigurationError(
            f"{path}: expected 'steps' to be int64 of shape [1], got {item.dtype.__name__} {list(item.shape)}"
        )
    usual = metadata.get("steps", "")
    if not usual.isdecimal() or not 1 <= int(usual) <= MOST_STEPS:
        raise ConfigurationError(
            f"{path}: expected steps = 1 to {MOST_STEPS} in the metadata of a graph with an input 'steps', "
            f"got {usual!r}"
        )
    return given or int(usual)


def _check(path: Path, item: TensorSpec, sizes: tuple[int, ...]) -> None:
    if item.dtype is not np.float32 or item.shape[1:] != sizes:
        raise ConfigurationError(
            f"{path}: expected {item.name!r} to be float32 of shape {['B', *sizes]}, got "
            f"{item.dtype.__name__} {list(item.shape)} (0: open)"
        )
