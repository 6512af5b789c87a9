# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The inference that `lowlat profile` runs: that of a policy, a detector or a classifier of alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.alerts.loading import SHIPPED, load_classifier
from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import blank_observation
from lowlat_nodes.inference import backends
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.torchscript import TorchModel
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings

_OPEN = 32  # what open sizes other than the batch are taken as, such as the length of a light curve


@dataclass(frozen=True)
class Way:
    """How models are loaded.

    Attributes:
        device: cpu or cuda.
        threads: Threads within an operator.
        profile: Where ONNX Runtime writes its own profile; None if it is not to.
    """

    device: str
    threads: int
    profile: Path | None = None

    def open(self, path: Path, image: ImageInput | None = None) -> Model:
        """Load a model.

        Raises:
            ConfigurationError: If that does not work here.
            MissingExtra: If its library is not installed.
        """
        if path.suffix == ".pt":
            return TorchModel(path, threads=self.threads, device=self.device)
        if path.suffix != ".onnx":
            raise ConfigurationError(f"expected an .onnx or .pt file, got {path}")
        return OnnxModel(path, threads=self.threads, provider=self.device, image=image, profile=self.profile)


@dataclass(frozen=True)
class Subject:
    """What is profiled.

    Attributes:
        name: What it is called.
        infer: Runs one inference of a batch size.
        batched: Whether it takes batches of more than one.
        model: What it runs; None if that is not known.
    """

    name: str
    infer: Callable[[int], object]
    batched: bool
    model: Model | None


def policy_subject(text: str, parameters: Mapping[str, Any], way: Way) -> Subject:
    """Return a policy that looks at an empty scene.

    Args:
        text: Name or file of its model; of no account for a policy of another kind.
        parameters: Of the policy node, without their `policy.`.
        way: How it is loaded.

    Raises:
        ConfigurationError: If it cannot be loaded.
    """
    kind = "torch" if text.endswith(".pt") else "onnx"
    given = {"kind": kind, "threads": way.threads, "device": way.device, **parameters, "model": text}
    config = build(PolicyConfig, given)
    model = way.open(resources.model(text)) if config.kind == "onnx" else None
    policy = load_policy(config, model=model)
    observation = blank_observation(policy.spec)
    if isinstance(policy, ExportedPolicy):
        return Subject(
            f"policy {text}",
            lambda batch: policy.infer_batch([observation] * batch),
            policy.batched,
            model,
        )
    return Subject(f"policy {text}", lambda _batch: policy.infer(observation), False, None)


def detector_subject(text: str, way: Way) -> Subject:
    """Return the network of a detector with images of noise, without what is before and after it.

    Raises:
        ConfigurationError: If it is no detector that is known.
    """
    path = resources.model(text)
    said = backends.signature(path)
    batched = all(spec.shape[:1] == (0,) for spec in said.inputs.values())

    def run(feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        return Way("cpu", way.threads).open(path).run(feed, outputs)

    layout = recognise(said.inputs, said.outputs, said.metadata, LayoutSettings(), run=run)
    image = layout.image
    model = way.open(path, None if batched else image)
    shapes = {image.name: image.shape} | {name: value.shape for name, value in layout.feed.items()}
    return _of_model(f"detector {text}", model, batched, layout.outputs, shapes)


def alerts_subject(text: str, way: Way) -> Subject:
    """Return the network of a classifier of alerts with light curves of noise.

    Args:
        text: tokens, t2 or a file.
        way: How it is loaded.

    Raises:
        ConfigurationError: If it is no such classifier.
    """
    load_classifier(text)
    model = way.open(resources.model(SHIPPED.get(text, text)))
    return _of_model(f"alerts {text}", model, True, list(model.outputs), {})


def _of_model(
    name: str, model: Model, batched: bool, outputs: list[str], shapes: Mapping[str, tuple[int, ...]]
) -> Subject:
    """Return a model with inputs of noise, of these shapes where it leaves sizes open."""
    random = np.random.default_rng(0)
    feed = {}
    for key, spec in model.inputs.items():
        known = shapes.get(key, (1, *[_OPEN] * (len(spec.shape) - 1)))
        shape = [size or fixed for size, fixed in zip(spec.shape, known, strict=True)]
        values = random.random(shape) if issubclass(spec.dtype, np.floating) else np.ones(shape)
        feed[key] = values.astype(spec.dtype)

    def infer(batch: int) -> list[np.ndarray]:
        repeated = {key: value.repeat(batch, 0) for key, value in feed.items()} if batch > 1 else feed
        return model.run(repeated, outputs)

    return Subject(name, infer, batched, model)
