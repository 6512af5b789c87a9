# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the detector node."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lowlat_nodes.energy.settings import GuardedEnergySettings
from lowlat_nodes.inference.segments.sharing import SharingSettings
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.zmq_input import ZmqInput
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.transport.ros import Input
from lowlat_nodes.vision.config import CamerasConfig, CameraSettings, DetectorConfig


@dataclass(frozen=True, kw_only=True)
class DetectorNodeConfig(NodeSettings, CamerasConfig):
    """Everything that the detector node can be told."""

    deadline_ms: float = setting(
        0.0,
        doc="Frames that are older when their turn comes are not worth detecting; 0: all are. Camera and "
        "node must agree on the time.",
        unit="ms",
        low=0.0,
        high=3_600_000.0,
    )
    cheaper: tuple[str, ...] = setting(
        (),
        doc="Models of the same classes that cost less than `model`, the dearest first, to switch to where "
        "an energy budget asks for it; all are loaded.",
    )
    zmq: ZmqSettings = section(ZmqSettings, doc="Detections over ZeroMQ as well.")
    turn: SharingSettings = section(SharingSettings, doc="With whom the device of the model is shared.")
    energy: GuardedEnergySettings = section(GuardedEnergySettings, doc="What results cost, and what one may.")

    def tiers(self) -> list[DetectorConfig]:
        """Return the configuration of each model, the dearest first."""
        return [self, *(dataclasses.replace(self, model=model) for model in self.cheaper)]

    def inputs(self) -> dict[str, Input | ZmqInput]:
        """Return what is subscribed to, by the name of the camera."""
        return {name: self._input(camera) for name, camera in self.cameras().items()}

    def _input(self, camera: CameraSettings) -> Input | ZmqInput:
        if camera.endpoint:
            return ZmqInput(
                endpoint=camera.endpoint,
                topic=camera.topic,
                key=camera.key,
                server_key=camera.server_key,
                max_age_ms=self.deadline_ms,
            )
        return Input(
            topic=camera.topic,
            type_name=camera.type_name,
            reliability=camera.reliability,
            max_age_ms=self.deadline_ms,
        )
