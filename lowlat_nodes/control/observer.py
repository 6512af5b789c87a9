# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts an observation together from the newest of each stream."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.alignment import StateHistory
from lowlat_nodes.control.contract import Contract, ObservationConfig, ObservationError
from lowlat_nodes.control.policies.policy import Observation
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.stream.payload import CompressedImage, Floats, Image

_HISTORY = 1024


class NoObservation(Exception):
    """There is nothing to show the policy; `reason` is `no_image` or `image_stale`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Observer:
    """Keeps the newest image of each camera in the policy's form, and the states that may belong to one.

    Args:
        config: The observation contract.
        contract: Translates messages.

    Attributes:
        refusals: Why the newest image of a camera was refused, by camera; empty while all is well.
    """

    def __init__(self, config: ObservationConfig, contract: Contract) -> None:
        self.refusals: dict[str, str] = {}
        self._cameras = {name: camera.feature or name for name, camera in config.camera.items()}
        self._contract = contract
        self._image_timeout_ns = round(config.image_timeout_ms * 1e6)
        self._period_ns = contract.action_period_ns
        self._images: dict[str, tuple[int, NDArray[np.uint8]]] = {}
        self._history = StateHistory(_HISTORY)

    def see(self, camera: str, payload: Image | CompressedImage, stamp_ns: int) -> None:
        """Take in an image.

        Raises:
            ObservationError: If it does not fit the contract; the former image stays.
        """
        try:
            image = payload if isinstance(payload, Image) else _decompress(payload)
            self._images[camera] = (stamp_ns, self._contract.image(camera, image))
        except ObservationError as error:
            self.refusals[camera] = str(error)
            raise
        self.refusals.pop(camera, None)

    def remember(self, states: Iterable[RobotState]) -> None:
        """Take in measured states, stamped in the clock of the images."""
        for state in states:
            self._history.add(state)

    def observe(
        self,
        state: RobotState,
        *,
        request: int,
        task: str,
        launched_ns: int,
        align: bool,
        start_ns: int | None = None,
        decided: Floats | None = None,
        committed: int = 0,
    ) -> tuple[Observation, int]:
        """Return what the policy sees now.

        Args:
            state: The state for the policy, unless `align` finds a better one.
            request: Number of the request.
            task: What to do.
            launched_ns: The tick that asked, in the clock of the images, which may not be too old then.
            align: Take the remembered state of the oldest image's capture time instead of `state`.
            start_ns: When the chunk begins, in the same clock; None where the policy need not know.
            decided: The plan to continue, as a `Launch` has it.
            committed: Likewise.

        Returns:
            The observation, and the capture time of its oldest image, 0 without cameras.

        Raises:
            NoObservation: If an image is missing or too old.
        """
        if len(self._images) < len(self._cameras):
            raise NoObservation("no_image")
        image_ns = min((stamp_ns for stamp_ns, _ in self._images.values()), default=0)
        if self._cameras and image_ns < launched_ns - self._image_timeout_ns:
            raise NoObservation("image_stale")
        if align and self._cameras:
            state = self._history.at(image_ns) or state
        images = {feature: self._images[name][1] for name, feature in self._cameras.items()}
        observation = Observation(self._contract.features(state), images, task, request)
        if start_ns is not None:
            seen_ns = image_ns if self._cameras else launched_ns
            observation.delay_rows = max(0, start_ns - seen_ns) / self._period_ns
        if decided is not None and len(decided):
            observation.decided = self._contract.actions(decided)
            observation.committed = committed
        return observation, image_ns


def _decompress(payload: CompressedImage) -> Image:
    import cv2

    from lowlat_nodes.images import compressed  # with OpenCV, which the tick does without

    try:
        image = compressed.decode(payload, compressed.read_head(payload))
    except BadImage as error:
        raise ObservationError(str(error)) from error
    if image.encoding == "rgb8":
        return image
    code = cv2.COLOR_GRAY2RGB if image.encoding == "mono8" else cv2.COLOR_BGR2RGB
    return Image(np.asarray(cv2.cvtColor(image.data, code), np.uint8), "rgb8")
