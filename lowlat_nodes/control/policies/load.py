# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a policy's parameters to the policy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.control.policies.exported_conditions import GUIDANCES
from lowlat_nodes.control.policies.latency import Latency, LatencyConfig
from lowlat_nodes.control.policies.lerobot import LerobotConfig, LerobotPolicy
from lowlat_nodes.control.policies.policy import MOST_STEPS, Policy
from lowlat_nodes.control.policies.remote import RemoteConfig, RemotePolicy
from lowlat_nodes.inference.example import example
from lowlat_nodes.inference.model import Model
from lowlat_nodes.inference.segments.cut import cut
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.inference.segments.stepped import SteppedModel
from lowlat_nodes.inference.torchscript import TorchModel
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import Connect, Requester, RequestError, Spawn
from lowlat_nodes.stream.token import read_token


@dataclass(frozen=True)
class PolicyConfig:
    """Which policy, and how it runs."""

    kind: str = setting(
        "onnx",
        doc="onnx: an exported file. torch: a TorchScript program. lerobot: a checkpoint of LeRobot. "
        "python: a factory of your own. remote: a policy server.",
        choices=("onnx", "torch", "lerobot", "python", "remote"),
    )
    model: str = setting(
        "reach_flow",
        doc="Path of an .onnx file, or the name of a shipped model; path of a TorchScript program.",
    )
    device: str = setting(
        "cpu", doc="Where kinds torch and lerobot run, as PyTorch names it: cpu, cuda, cuda:1."
    )
    graphs: bool = setting(
        True,
        doc="Whether an inference of kind torch on a GPU is one CUDA graph, where the program allows it.",
    )
    factory: str = setting(
        "",
        doc="module:function that takes this configuration and returns a Policy, for kind python; one with "
        "an attribute `turn` is given that of the node.",
    )
    workers: int = setting(
        1,
        doc="Processes that hold the policy: so many inferences at a time for pipelined, else in reserve.",
        low=1,
        high=4,
    )
    threads: int = setting(1, doc="Threads of one inference.", low=1, high=64)
    seed: int = setting(
        0, doc="Seed of the noise that generative policies start from, and of drawn delays.", low=0
    )
    noise_scale: float = setting(1.0, doc="Scale of that noise; 0 makes inference deterministic.", low=0.0)
    guidance: str = setting(
        "vjp",
        doc="How rtc draws a chunk to the plan: through the network's Jacobian, as published, or as if that "
        "were the identity, as LeRobot does.",
        choices=GUIDANCES,
    )
    steps: int = setting(
        0,
        doc="In how many steps a chunk is made of noise, by a policy that lets one choose; 0: as it says.",
        low=0,
        high=MOST_STEPS,
    )
    action_period_ms: float = setting(
        0.0, doc="Time between actions, where the model does not say it.", unit="ms", low=0.0, high=10_000.0
    )
    action_kind: str = setting(
        "", doc="absolute or delta, where the model does not say it.", choices=("", "absolute", "delta")
    )
    inference_delay_ms: float = setting(
        0.0,
        doc="Inferences take at least this long (the worker sleeps), to stand for a larger policy.",
        unit="ms",
        low=0.0,
        high=60_000.0,
    )
    inference_delay: LatencyConfig = section(LatencyConfig, doc="How that time varies.")
    load_timeout_ms: float = setting(
        120_000.0, doc="How long loading and warming up may take.", unit="ms", low=100.0
    )
    timeout_ms: float = setting(
        5000.0,
        doc="An inference longer than this counts as hung; its process is replaced.",
        unit="ms",
        low=1.0,
    )
    lerobot: LerobotConfig = section(LerobotConfig, doc="The checkpoint, for kind lerobot.")
    remote: RemoteConfig = section(RemoteConfig, doc="The policy server, for kind remote.")

    def __post_init__(self) -> None:
        if self.kind == "python" and ":" not in self.factory:
            raise ConfigurationError(
                f"policy.factory: expected module:function for kind python, got {self.factory!r}"
            )
        if self.kind == "lerobot" and not (self.lerobot.directory and self.lerobot.python):
            raise ConfigurationError(
                "policy.lerobot.directory and policy.lerobot.python must be given for kind lerobot"
            )
        if self.kind == "remote" and not self.remote.address:
            raise ConfigurationError("policy.remote.address must be given for kind remote")
        if self.kind == "remote" and self.remote.timeout_ms >= self.timeout_ms:
            raise ConfigurationError(
                f"policy.remote.timeout_ms: expected less than policy.timeout_ms, {self.timeout_ms:g} ms, "
                f"after which the process counts as hung; got {self.remote.timeout_ms:g} ms"
            )
        spikes = self.inference_delay
        if spikes.distribution == "spikes" and spikes.spike_ms >= self.timeout_ms:
            raise ConfigurationError(
                f"policy.inference_delay.spike_ms: expected less than policy.timeout_ms, "
                f"{self.timeout_ms:g} ms, after which the process counts as hung; got {spikes.spike_ms:g} ms"
            )

    @property
    def latency(self) -> Latency:
        """Return what decides how long inferences are made to take."""
        return Latency(self.inference_delay_ms, self.inference_delay, self.seed)


def load_policy(
    config: PolicyConfig,
    connect: Connect | None = None,
    spawn: Spawn | None = None,
    sharing: Sharing = ALONE,
    *,
    model: Model | None = None,
) -> Policy:
    """Return the policy that the parameters name.

    Args:
        config: The parameters.
        connect: Makes the connection, for kind remote.
        spawn: Starts the process, for kind lerobot.
        sharing: Whether its inferences are cut into segments that give way.
        model: Runs in place of the file, for kinds onnx and torch.

    Raises:
        ConfigurationError: If it cannot be loaded, with the reason.
    """
    _check_sharing(config, sharing)
    if config.kind == "remote" and connect is not None:
        return _remote(config, connect)
    if config.kind == "lerobot" and spawn is not None:
        return _lerobot(config, spawn)
    if config.kind in {"remote", "lerobot"}:
        raise ConfigurationError(f"policy.kind: expected a policy of this process here, got {config.kind!r}")
    if config.kind == "python":
        return _made(config, sharing)
    if config.kind == "torch":
        path = Path(config.model).expanduser()
        model = model or _program(path, config, sharing)
    else:
        path = resources.model(config.model)
        if model is None and sharing.segment_ms:
            model = _in_parts(path, config, sharing)
    return ExportedPolicy(
        path,
        threads=config.threads,
        seed=config.seed,
        noise_scale=config.noise_scale,
        action_period_ns=round(config.action_period_ms * 1e6),
        action_kind=config.action_kind,
        guidance=config.guidance,
        steps=config.steps,
        model=model,
    )


def _check_sharing(config: PolicyConfig, sharing: Sharing) -> None:
    """Refuse policies that cannot share a device as they are told to."""
    if config.kind == "remote" and sharing.is_shared:
        raise ConfigurationError(
            "turn.device: a policy server runs on a device of its own, which this node cannot share; leave "
            "it empty with policy.kind remote"
        )
    if config.kind == "lerobot" and sharing.segment_ms:
        raise ConfigurationError(
            "turn.segment_ms: a policy of kind lerobot runs in one piece; expected 0, or an .onnx file with "
            "policy.kind onnx"
        )


def _program(path: Path, config: PolicyConfig, sharing: Sharing) -> TorchModel:
    """Return a TorchScript program, step by step where it is to give way."""
    if sharing.segment_ms:
        return SteppedModel(path, threads=config.threads, device=config.device, turn=sharing.turn)
    graphs = None if config.graphs else False  # on a CPU there are none
    return TorchModel(path, threads=config.threads, device=config.device, graphs=graphs)


def _in_parts(path: Path, config: PolicyConfig, sharing: Sharing) -> Model:
    """Return a graph in parts that give way; with its steps written out it is cut between them."""

    def feed(model: Model) -> dict[str, np.ndarray]:
        steps = config.steps or int(model.metadata.get("steps", "1"))
        return example(model, None, {"steps": np.array([steps])} if "steps" in model.inputs else {})

    return cut(path, sharing.segment_ms, feed, threads=config.threads, turn=sharing.turn).model


def _made(config: PolicyConfig, sharing: Sharing) -> Policy:
    """Return the policy of a factory; one with an attribute `turn` is given it, to call `between` on."""
    policy: Policy = _factory(config.factory)(config)
    if hasattr(policy, "turn"):
        policy.turn = sharing.turn
    elif sharing.segment_ms:
        raise ConfigurationError(
            f"turn.segment_ms: expected a policy of {config.factory} with an attribute `turn`, whose "
            f"between() it calls between its segments; this one runs in one piece: expected 0"
        )
    return policy


def _remote(config: PolicyConfig, connect: Connect) -> RemotePolicy:
    remote = config.remote
    requester = connect(
        remote.protocol,
        remote.address,
        token=read_token(remote.token_file),
        key_file=remote.key_file,
        server_key_file=remote.server_key_file,
    )
    with _closed_on_failure(requester, "remote"):
        return RemotePolicy(
            requester,
            remote,
            action_period_ns=round(config.action_period_ms * 1e6),
            action_kind=config.action_kind,
            steps=config.steps,
        )


def _lerobot(config: PolicyConfig, spawn: Spawn) -> LerobotPolicy:
    command = config.lerobot.command(
        device=config.device,
        threads=config.threads,
        seed=config.seed,
        noise_scale=config.noise_scale,
    )
    requester = spawn(command, load_timeout_ns=round(config.load_timeout_ms * 1e6))
    with _closed_on_failure(requester, "lerobot"):
        return LerobotPolicy(
            requester,
            config.lerobot,
            action_period_ns=round(config.action_period_ms * 1e6),
            action_kind=config.action_kind,
            timeout_ns=round(config.timeout_ms * 1e6),
        )


@contextmanager
def _closed_on_failure(requester: Requester, section: str) -> Iterator[None]:
    try:
        yield
    except RequestError as error:
        requester.close()
        raise ConfigurationError(f"policy.{section}: {error}") from error
    except ConfigurationError:
        requester.close()
        raise


def _factory(name: str) -> Callable[[PolicyConfig], Policy]:
    module, _, attribute = name.partition(":")
    try:
        found: Callable[[PolicyConfig], Policy] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"policy.factory: cannot import {name!r}: {error}") from error
    return found
