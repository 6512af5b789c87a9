# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the classifiers that run an ONNX file have in common: which file it is, and what runs it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.alerts.model_metadata import read_threshold
from lowlat_nodes.inference import backends
from lowlat_nodes.inference.backend_settings import ONE_THREAD, BackendSettings
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing


class OnnxClassifier(ABC):
    """A model in an ONNX file whose output is `probabilities`; used by one thread.

    A kind of model is a subclass, which says what its files are and makes inputs of light curves.

    Attributes:
        name: Of the kind of model.
        batch: How many light curves the model takes at a time.
        contract: What its inputs and outputs mean, by name.
        shipped: The file of this kind that ships, by name.
        trainer: The command that makes such files.
        expected: Lists of words that the file's metadata must have, beside the classes.
        sha256: Of its file, hexadecimal.
        threshold: Probability of the likeliest class below which to abstain.
        backend: What runs it, in words.

    Args:
        path: A file of that trainer; None takes the one that ships.
        settings: What runs it; where they leave a choice, it is timed here, on this machine.
        sharing: Whether it is cut into parts, see `backends.load`.

    Raises:
        ConfigurationError: If the file is missing or none of those, or does not fit the settings.
        MissingExtra: If the library that was asked for is not installed.
    """

    name: str
    batch: int
    contract: ClassVar[str]
    shipped: ClassVar[str]
    trainer: ClassVar[str]
    expected: ClassVar[Mapping[str, Sequence[str]]] = MappingProxyType({})

    def __init__(
        self,
        path: Path | None = None,
        settings: BackendSettings = ONE_THREAD,
        sharing: Sharing = ALONE,
    ) -> None:
        path = resources.model(self.shipped) if path is None else path
        metadata = backends.signature(path).metadata
        self.threshold = read_threshold(
            path, metadata, self.contract, trainer=self.trainer, expected=self.expected
        )
        loaded = backends.load(
            path, settings, further=self.example(), outputs=["probabilities"], sharing=sharing
        )
        self._model = loaded.model
        self.backend = loaded.candidate.describe()
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    @classmethod
    @abstractmethod
    def example(cls) -> Mapping[str, NDArray[np.float32]]:
        """Return the inputs of a batch as it often comes, to choose what runs the model by."""

    def probabilities(self, feed: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Run the model."""
        found: NDArray[np.float32] = self._model.run(feed, ["probabilities"])[0]
        return found
