# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What an exported policy may take besides the observation: the delay, and the plan that it continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lowlat_nodes.control.policies.policy import Observation
from lowlat_nodes.control.prefix import hard_prefix, soft_prefix
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError

INPUTS = ("delay", "decided", "weights", "jacobian")
GUIDANCES = ("vjp", "identity")

_PLAN_INPUTS = {"prefix": ("decided", "weights"), "guidance": ("decided", "weights", "jacobian")}


class OnnxConditions:
    """The conditions of one graph.

    ========== =================== =========================================================================
    `delay`    float32 [B, 1]      how much later than its oldest image the chunk begins, in rows
    `decided`  float32 [B, H, J]   the plan from row 0 of the chunk on, in the units of the actions; 0 where
                                   nothing is planned
    `weights`  float32 [B, H]      how much each of those rows counts; 0 where nothing is planned
    `jacobian` float32 [B, 1]      1: the correction goes through the network (a vector-Jacobian product, as
                                   in 2506.07339); 0: the Jacobian is taken as the identity, as LeRobot's
                                   implementation of that paper does
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

    Attributes:
        accepts: What `PolicySpec.accepts` shall say.

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
    ) -> None:
        self._shape = (horizon, joints)
        self._names = tuple(name for name in INPUTS if name in inputs)
        self._kind = _plan_kind(path, tuple(name for name in self._names if name != "delay"), metadata)
        self._jacobian = float(guidance == "vjp")
        sizes = {"delay": (1,), "decided": self._shape, "weights": (horizon,), "jacobian": (1,)}
        for name in self._names:
            _check(path, inputs[name], sizes[name])
        told = ("delay" if "delay" in inputs else "", self._kind)
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


def _check(path: Path, item: TensorSpec, sizes: tuple[int, ...]) -> None:
    if item.dtype is not np.float32 or item.shape[1:] != sizes:
        raise ConfigurationError(
            f"{path}: expected {item.name!r} to be float32 of shape {['B', *sizes]}, got "
            f"{item.dtype.__name__} {list(item.shape)} (0: open)"
        )
