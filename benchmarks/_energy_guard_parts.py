# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of guards calls: boxes of frames, steps of requests, epochs of alerts."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.alerts.alert_classifier import ALERTS, AlertClassifier
from lowlat_nodes.alerts.filters import Filters
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.token_classifier import TokenClassifier
from lowlat_nodes.benchmarks._detector_models import detectors, unseen
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import Observation, Policy
from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.control.policies.request_conditions import STEPS
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.energy.guard import Guard, GuardSettings
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.nodes.guards import candidate_guard, epoch_guard, step_guard
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.interception import TEXT, Ball
from lowlat_nodes.sim.sky.population import generate
from lowlat_nodes.stream.bound import Bound
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image, Packet
from lowlat_nodes.stream.requester import RequestRefused
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings

_TIMES = 8  # an attack wants so many times the work of a normal call


class Part(ABC):
    """The code of one node.

    Attributes:
        unit: What the guard counts of a call.
        clock: What the guard reads.
        guard: As the node makes it, with the settings that are the default.
        normal: Normal inputs.
        normal_costs: What each of them wants, in `unit`.
        attacks: Inputs that want much more.
        attack_cost: How much.
    """

    unit: str
    guard: Guard
    normal: Sequence[Any]
    normal_costs: Sequence[float]
    attacks: Sequence[Any]
    attack_cost: float

    def __init__(self) -> None:
        self.clock = ManualClock(1)

    @abstractmethod
    def call(self, given: Any, source: str, bound: Bound) -> None:
        """Do the work on one input."""


class Boxes(Part):
    """Decodes what a detector with several boxes for each thing gives, and suppresses.

    The network that ships has one box for each thing, and its time hardly depends on their number. So each
    box that it finds in frames of the simulated camera, down to a score of 0.05, is given as the about ten
    that the other head of its architecture is trained to give. An attack, as Phantom Sponges (arXiv
    2205.13618) makes them, adds boxes that do not overlap.
    """

    unit = "boxes"
    _SIDE, _ANCHORS, _SCORE, _EACH = 320, 2100, 0.05, 10

    def __init__(self, quick: bool) -> None:
        super().__init__()
        random = np.random.default_rng(0)
        self._layout = recognise(
            {"images": TensorSpec("images", (1, 3, self._SIDE, self._SIDE), np.float32)},
            {"output0": TensorSpec("output0", (1, 4 + 3, self._ANCHORS), np.float32)},
            {},
            build(LayoutSettings, {"layout": "one_to_many", "names": ["circle", "square", "triangle"]}),
        )
        self._place = self._layout.place(self._SIDE, self._SIDE)
        values = {"backend.kind": "onnxruntime", "backend.threads": 1, "threshold": self._SCORE}
        tables, counts = [], []
        with detectors(shapes={**values, "max_detections": 300}) as made:
            for frame in unseen(100 if quick else 500):
                rows = made["shapes"].detect(Image(frame.image, "rgb8")).rows
                table, count = self._several(rows, random)
                tables.append(table)
                counts.append(count)
        self.normal, self.normal_costs = tables, counts
        wanted = round(_TIMES * float(np.mean(counts)))
        self.attacks = [self._crowd(wanted, random) for _ in range(20)]
        self.attack_cost = wanted
        self.guard = candidate_guard(GuardSettings(), 100, self.clock)

    def call(self, given: Any, source: str, bound: Bound) -> None:
        """Decode one table, as `Detector.process` does."""
        limit = bound.limit(source)
        most = int(min(limit, self._ANCHORS))
        self._layout.decode([given], self._place, self._SCORE, 100, None, most)
        wanted = self._layout.candidates
        bound.note(wanted, cut=wanted > most, source=source)

    def _several(self, rows: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, int]:
        each = random.binomial(2 * self._EACH, 0.5, len(rows)) + 1
        many = np.repeat(rows, each, axis=0)[: self._ANCHORS]
        many[:, :4] += random.normal(0.0, 1.5, (len(many), 4))
        many[:, 4] = np.maximum(many[:, 4] * random.uniform(0.6, 1.0, len(many)), self._SCORE)
        return self._table(many), len(many)

    def _crowd(self, count: int, random: np.random.Generator) -> np.ndarray:
        corners = random.uniform(0.0, self._SIDE - 8.0, (count, 2))
        rows = np.concatenate((corners, corners + 8.0, random.uniform(0.3, 0.9, (count, 2))), axis=1)
        rows[:, 5] = random.integers(0, 3, count)
        return self._table(rows)

    def _table(self, rows: np.ndarray) -> np.ndarray:
        table = np.zeros((1, 4 + 3, self._ANCHORS), np.float32)
        place = np.arange(len(rows))
        table[0, :2, place] = (rows[:, :2] + rows[:, 2:4]) / 2
        table[0, 2:4, place] = np.maximum(rows[:, 2:4] - rows[:, :2], 1.0)
        table[0, 4 + rows[:, 5].astype(int) % 3, place] = rows[:, 4]
        return table


class Steps(Part):
    """Serves a policy of ours to clients that choose the number of its denoising steps.

    A normal client follows the flow as closely as it needs: with the fewest steps that bring all joints
    within 20 mrad of where 64 steps do.
    """

    unit = "steps"
    _CLOSE_RAD, _FINE = 20e-3, 64

    def __init__(self, quick: bool) -> None:
        from lowlat_nodes.train.loading import load_networks
        from lowlat_nodes.train.steps import write_program

        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "policy.pt"
        write_program(load_networks(resources.model("table_vlash")), path)
        self._policy = load_policy(build(PolicyConfig, {"kind": "torch", "model": str(path)}))
        self._form = RemoteConfig().request_form(self._policy.spec.images)
        observations = [_observation(number) for number in range(40 if quick else 200)]
        self.normal_costs = [self._needed(each) for each in observations]
        self.normal = [
            self._request(each, steps) for each, steps in zip(observations, self.normal_costs, strict=True)
        ]
        self.attack_cost = round(_TIMES * float(np.mean(self.normal_costs)))
        self.attacks = [self._request(each, self.attack_cost) for each in observations[:20]]
        self.guard = step_guard(GuardSettings(), self._policy.spec, self.clock)
        self._responders: dict[int, PolicyResponder] = {}

    def call(self, given: Any, source: str, bound: Bound) -> None:
        """Answer one request."""
        responder = self._responders.get(id(bound))
        if responder is None:
            responder = self._responders[id(bound)] = PolicyResponder(self._policy, self._form, bound)
        try:
            responder.respond(given, source)
        except RequestRefused:
            return

    def _request(self, observation: Observation, steps: float) -> Mapping[str, Any]:
        return {**self._form.write_request(observation), STEPS: int(steps)}

    def _needed(self, observation: Observation) -> int:
        fine = _chunk(self._policy, observation, self._FINE)
        for steps in range(1, self._FINE):
            if np.abs(_chunk(self._policy, observation, steps) - fine).max() < self._CLOSE_RAD:
                return steps
        return self._FINE


class Epochs(Part):
    """Reads and classifies alerts of a simulated sky; an attacker's have histories of 10,000 epochs."""

    unit = "epochs"
    _LONG = 10_000

    def __init__(self, quick: bool) -> None:
        super().__init__()
        curves = generate(200 if quick else 1000, 0, survey_shares={"ztf": 1.0})[0]
        self.normal = list(ztf_packets(curves))
        self.normal_costs = np.diff(curves.offsets).tolist()
        self.attacks = list(ztf_packets(_long_histories(20, self._LONG)))
        self.attack_cost = self._LONG
        self.guard = epoch_guard(GuardSettings(), self.clock)
        self._classifier = TokenClassifier()
        self._processors: dict[int, AlertClassifier] = {}

    def call(self, given: Packet, source: str, bound: Bound) -> None:
        """Read and classify one alert."""
        processor = self._processors.get(id(bound))
        if processor is None:
            processor = AlertClassifier(Ingest(bound=bound), self._classifier, Filters({}))
            self._processors[id(bound)] = processor
        packet = Packet(given.data, origin=f"{source}[0]@0")
        processor.process(Message(ALERTS, packet, Trace(received_ns=1)))


def _chunk(policy: Policy, observation: Observation, steps: int) -> np.ndarray:
    observation.steps = steps
    return policy.infer(observation)


def _observation(number: int) -> Observation:
    """Return what a policy sees of an arm in some posture and a ball in flight."""
    random = np.random.default_rng(number)
    posture = random.uniform((0.3, -1.5, -1.5), (2.8, 1.5, 1.5))
    x_m, y_m = random.uniform((-0.4, 0.4), (0.4, 0.7))
    ball = Ball(x_m, y_m, *random.uniform((-0.4, -0.8), (0.4, -0.3)))
    state = np.concatenate((posture, random.normal(0.0, 0.3, 3))).astype(np.float32)
    return Observation(state, {"image": TableCamera().render(posture, [ball])}, TEXT, number)


def _long_histories(count: int, epochs: int) -> LightCurves:
    """Return light curves of as many detections, in two passbands, that vary too much to be merged."""
    random, total = np.random.default_rng(0), count * epochs
    return LightCurves(
        np.arange(count) + 1000 * total,
        [f"ZTF{number}" for number in range(count)],
        np.arange(count + 1) * epochs,
        np.sort(random.uniform(59_000.0, 60_000.0, (count, epochs)), axis=1).ravel(),
        random.integers(0, 2, total).astype(np.uint8),
        random.normal(5000.0, 3000.0, total),
        np.full(total, 100.0),
        np.ones(total, np.bool_),
    )


PARTS: Mapping[str, Callable[[bool], Part]] = {"boxes": Boxes, "steps": Steps, "epochs": Epochs}
