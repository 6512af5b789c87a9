# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A corrector on a robot: from the newest observation and what the plan says to a correction in ROS units."""

from __future__ import annotations

import dataclasses

import numpy as np

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import Contract
from lowlat_nodes.control.loop import Outlook
from lowlat_nodes.control.observer import Observer
from lowlat_nodes.control.policies.corrector import Glance, load_corrector
from lowlat_nodes.control.policies.policy import PolicySpec, blank_observation
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import CompressedImage, Floats, Image


class ResidualHead:
    """Keeps the newest images and corrects plans with them.

    It sees those cameras of the observation contract whose features the corrector takes.

    Args:
        config: The parameters of policy execution.
        policy: The policy whose plans it corrects.

    Attributes:
        rows: How many targets it wants to know.
        state_fields: What it needs of the joint states.
        cameras: The cameras that it sees.
        refusals: Why the newest image of a camera was refused, by camera; empty while all is well.

    Raises:
        ConfigurationError: If the corrector cannot be loaded, or does not fit the policy or the contracts.
    """

    def __init__(self, config: ControlConfig, policy: PolicySpec) -> None:
        self._corrector = load_corrector(config.corrector, policy)
        spec = self._corrector.spec
        if any(policy.delta) and (config.command.action_mean or config.command.action_std):
            raise ConfigurationError(
                "corrector.model: targets that a corrector sees cannot be scaled as actions that are steps "
                "are; expected no command.action_mean and no command.action_std, or no corrector"
            )
        seen = {
            name: camera
            for name, camera in config.observation.camera.items()
            if (camera.feature or name) in spec.images
        }
        observation = dataclasses.replace(config.observation, camera=seen)
        try:
            self._contract = Contract(observation, config.command, spec)
        except ConfigurationError as error:
            raise ConfigurationError(f"corrector.model, by the contract as a policy: {error}") from error
        self._observer = Observer(observation, self._contract)
        self.rows = spec.horizon
        self.state_fields = spec.state_fields
        self.cameras = frozenset(seen)
        self.refusals = self._observer.refusals

    def see(self, camera: str, payload: Image | CompressedImage, stamp_ns: int) -> None:
        """Take in an image.

        Raises:
            ObservationError: If it does not fit the contract; the former image stays.
        """
        self._observer.see(camera, payload, stamp_ns)

    def correct(self, outlook: Outlook, *, task: str, now_ns: int) -> tuple[Floats, int]:
        """Return what to add to the first target of an outlook, and the capture time of the oldest image.

        Args:
            outlook: What the plan says about the tick that is to be corrected.
            task: What to do.
            now_ns: Time of that tick, in the clock of the images.

        Returns:
            float64 [joints], rad or m; and 0 without cameras.

        Raises:
            NoObservation: If an image is missing or older than `observation.image_timeout_ms`.
        """
        seen, image_ns = self._observer.observe(
            outlook.state, request=0, task=task, launched_ns=now_ns, align=False
        )
        age = outlook.age_ns / self._corrector.spec.action_period_ns
        glance = Glance(seen.state, self._contract.actions(outlook.planned), age, seen.images, task)
        return self._contract.offsets(self._corrector.correct([glance])[0]), image_ns

    def warm_up(self) -> None:
        """Run once on nothing: a first run takes longer."""
        spec = self._corrector.spec
        seen = blank_observation(spec)
        planned = np.zeros((spec.horizon, len(spec.delta)))
        self._corrector.correct([Glance(seen.state, planned, 0.0, seen.images)])
