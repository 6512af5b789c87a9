# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Several detectors of the same things, of which one works: a cheaper one is an instant away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.vision.detector import Detector


class DetectorTiers(Processor):
    """Hands frames to one of several detectors; all of them are loaded.

    Tracks go on over a change.

    Args:
        detectors: With the same inputs, the dearest first.

    Attributes:
        detectors: The same.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.inputs, self.outputs = detectors[0].inputs, detectors[0].outputs
        self.detectors = tuple(detectors)
        self._chosen = self._present = 0

    @property
    def present(self) -> Detector:
        """Return the detector that works on the frame in hand, or did on the last one."""
        return self.detectors[self._present]

    @property
    def coming(self) -> Detector:
        """Return the detector that works on the next frame."""
        return self.detectors[self._chosen]

    def choose(self, index: int) -> None:
        """Have another detector work from the next frame on; for any thread."""
        self._chosen = index

    def open(self) -> None:
        """Load all models and warm up.

        Raises:
            ConfigurationError: If one cannot be loaded, or they do not know the same classes.
            MissingExtra: If a library that the configuration asks for is not installed.
        """
        first, *others = self.detectors
        first.open()
        for detector in others:
            detector.open()
            if detector.names != first.names:
                raise ConfigurationError(
                    f"cheaper: expected models with the classes of the first one, {', '.join(first.names)}, "
                    f"in that order; got {', '.join(detector.names)}"
                )
            detector.follow_on(first)

    def process(self, message: Message) -> Iterator[Message]:
        """Detect in a frame with the chosen detector."""
        self._present = self._chosen
        return self.present.process(message)

    def close(self) -> None:
        """Release all models."""
        for detector in self.detectors:
            detector.close()
