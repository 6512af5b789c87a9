# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A graph in two files: an encoder, and a head that takes its features."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError

_FEATURES = "features"


class CachedEncoder:
    """Encodes what it has not encoded lately; for heads and callers that look at the same things.

    Args:
        model: A graph with an open batch and the output `features`.
        kept: How many features are remembered.
    """

    def __init__(self, model: OnnxModel, *, kept: int = 512) -> None:
        if list(model.outputs) != [_FEATURES]:
            raise ConfigurationError(
                f"{model.path}: expected the output {_FEATURES!r}, found {list(model.outputs)}"
            )
        self.model = model
        self._kept = kept
        self._features: dict[bytes, np.ndarray] = {}

    def features(self, feed: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the features of every row of the inputs, [B, F]."""
        rows = [
            hashlib.blake2b(b"".join(part[row].tobytes() for part in feed.values()), digest_size=16).digest()
            for row in range(len(next(iter(feed.values()))))
        ]
        fresh = {key: row for row, key in enumerate(rows) if key not in self._features}
        if fresh:
            chosen = list(fresh.values())
            (made,) = self.model.run({name: part[chosen] for name, part in feed.items()}, [_FEATURES])
            self._features.update(zip(fresh, made, strict=True))
        found = np.stack([self._features[key] for key in rows])
        while len(self._features) > self._kept:
            del self._features[next(iter(self._features))]
        return found


class SplitModel(OnnxModel):
    """A head behind an encoder, with the inputs, outputs and metadata of both in one.

    Args:
        encoder: Shared by all heads on it.
        head: A graph with the input `features`.
    """

    def __init__(self, encoder: CachedEncoder, head: OnnxModel) -> None:
        self._encoder, self._head = encoder, head
        self.path = head.path
        acts = {name: item for name, item in head.inputs.items() if name != _FEATURES}
        self.inputs = {**encoder.model.inputs, **acts}
        self.outputs = head.outputs
        self.metadata = {**encoder.model.metadata, **head.metadata}

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run both graphs, or only the head where everything was seen lately."""
        sees = {name: feed[name] for name in self._encoder.model.inputs}
        acts = {name: part for name, part in feed.items() if name not in sees}
        return self._head.run({**acts, _FEATURES: self._encoder.features(sees)}, outputs)
