# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy with the shapes of pi0 and random weights: what it says is noise, what it costs is not.

The sizes are those of pi0 (Black et al. 2024, arXiv 2410.24164): SigLIP's transformer over patches of each
camera, Gemma 2B over patches and words, and an action expert whose layers attend to Gemma's keys and values,
run once for each Euler step. With `ada_rms` the flow time sets scale, shift and gate of the expert's norms,
as in pi0.5 (arXiv 2504.16054), and all of its tokens see each other; else the time joins the actions' tokens
and the state sees none of them, as in pi0. Shapes are static and nothing waits for the device, so that a CUDA
graph can capture a whole inference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.kernels import flow
from lowlat_nodes.kernels.flow.ada_rms import cpu as eager_ada_rms
from lowlat_nodes.kernels.flow.euler import cpu as eager_euler
from lowlat_nodes.kernels.flow.rotary import cpu as eager_rotary
from lowlat_nodes.kernels.flow.silu_gate import cpu as eager_silu_gate

Cache: TypeAlias = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer [B, kv_heads, P + S, head]: of the prefix, then room for the expert's own."""

_LONGEST_ROPE = 1e4
_TIME_PERIODS = (4e-3, 4.0)


@dataclass(frozen=True)
class Pi0Config:
    """Sizes of the network; the defaults are those of pi0 with three cameras.

    `words` is the number of tokens of the task. `vocabulary` is smaller than Gemma's 257,152: an inference
    reads as many rows of the table as there are words, whatever its size. With a `vision_depth` of 0 patches
    are projected to tokens by one product.
    """

    cameras: int = 3
    image_px: int = 224
    patch_px: int = 14
    vision_width: int = 1152
    vision_mlp: int = 4304
    vision_heads: int = 16
    vision_depth: int = 27
    words: int = 48
    vocabulary: int = 2048
    width: int = 2048
    mlp: int = 16384
    expert_width: int = 1024
    expert_mlp: int = 4096
    heads: int = 8
    kv_heads: int = 1
    head: int = 256
    depth: int = 18
    state: int = 32
    actions: int = 32
    horizon: int = 50
    steps: int = 10
    ada_rms: bool = True

    def __post_init__(self) -> None:
        if self.image_px % self.patch_px:
            raise ValueError(f"{self.image_px} px are not whole patches of {self.patch_px} px")
        if self.heads % self.kv_heads or self.head % 2 or self.expert_width % 2:
            raise ValueError("expected whole groups of heads, and an even head and expert_width")

    @property
    def prefix(self) -> int:
        """Tokens of the observation."""
        return self.cameras * (self.image_px // self.patch_px) ** 2 + self.words

    @property
    def suffix(self) -> int:
        """Tokens of the expert: a state, and one for each action."""
        return 1 + self.horizon


SIZES: dict[str, Pi0Config] = {
    "tiny": Pi0Config(
        image_px=28, vision_width=64, vision_mlp=128, vision_heads=4, vision_depth=2, words=7,
        vocabulary=256, width=128, mlp=256, expert_width=64, expert_mlp=128, heads=4, head=32, depth=3,
    ),
    "small": Pi0Config(
        image_px=112, vision_width=384, vision_mlp=1536, vision_heads=6, vision_depth=6, words=16,
        width=512, mlp=2048, expert_width=256, expert_mlp=1024, head=64, depth=8,
    ),
    "full": Pi0Config(),
}  # fmt: skip
"""By name: for tests on a CPU, for a small GPU or a patient CPU, and pi0's own."""


class Operations(NamedTuple):
    """What surrounds the matrix products: the operations of `lowlat_nodes.kernels.flow`, or stand-ins."""

    euler: Callable[..., Tensor]
    ada_rms: Callable[..., tuple[Tensor, Tensor]]
    rotary: Callable[..., Tensor]
    silu_gate: Callable[..., Tensor]


EAGER = Operations(eager_euler.run, eager_ada_rms.run, eager_rotary.run, eager_silu_gate.run)
"""Plain torch, unchecked."""

FUSED = Operations(flow.euler, flow.ada_rms, flow.rotary, flow.silu_gate)
"""Kernels of ours on a GPU; on a CPU plain torch, checked."""


class Modulation(NamedTuple):
    """What a norm does to each channel: a row [W] for each sequence."""

    scale: Tensor
    shift: Tensor | None = None
    gate: Tensor | None = None


class _Norm(nn.Module):
    """RMS normalisation with a learnt scale, or modulated by a condition [B, C]."""

    def __init__(self, width: int, condition: int = 0) -> None:
        super().__init__()
        self.modulate = nn.Linear(condition, 3 * width) if condition else None
        self.scale = None if condition else nn.Parameter(0.1 * torch.randn(width))

    def forward(self, batch: int, condition: Tensor | None) -> Modulation:
        if self.modulate is None:
            assert self.scale is not None
            return Modulation(self.scale.expand(batch, -1))
        return Modulation(*self.modulate(condition).chunk(3, dim=-1))


class _Layer(nn.Module):
    """One layer of Gemma's or of the expert's tokens, around an attention that both share."""

    def __init__(self, config: Pi0Config, width: int, mlp: int, condition: int = 0) -> None:
        super().__init__()
        self.norm = _Norm(width, condition)
        self.project = nn.Linear(width, (config.heads + 2 * config.kv_heads) * config.head, bias=False)
        self.merge = nn.Linear(config.heads * config.head, width, bias=False)
        self.norm_again = _Norm(width, condition)
        self.rise = nn.Linear(width, 2 * mlp, bias=False)
        self.fall = nn.Linear(mlp, width, bias=False)


class _SeeingLayer(nn.Module):
    """One layer of SigLIP's: attention, then a perceptron, each after a layer norm."""

    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        width = config.vision_width
        self.heads = config.vision_heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.norm_again = nn.LayerNorm(width)
        self.rise = nn.Linear(width, config.vision_mlp)
        self.fall = nn.Linear(config.vision_mlp, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.project(self.norm(x)).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        found = functional.scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts))
        x = x + self.merge(found.transpose(1, 2).flatten(-2))
        rise = functional.gelu(self.rise(self.norm_again(x)), approximate="tanh")
        made: Tensor = x + self.fall(rise)
        return made


class _Vision(nn.Module):
    """Tokens of Gemma's width of images."""

    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        patches = (config.image_px // config.patch_px) ** 2
        self.see = nn.Conv2d(3, config.vision_width, config.patch_px, stride=config.patch_px)
        self.place = nn.Parameter(0.02 * torch.randn(patches, config.vision_width))
        self.layers = nn.ModuleList(_SeeingLayer(config) for _ in range(config.vision_depth))
        self.norm = nn.LayerNorm(config.vision_width)
        self.out = nn.Linear(config.vision_width, config.width)

    def forward(self, images: Tensor) -> Tensor:
        """Return [B, cameras * patches, W] of [B, cameras, 3, H, W]."""
        x = self.see(images.flatten(0, 1)).flatten(2).transpose(1, 2) + self.place
        for layer in self.layers:
            x = layer(x)
        made: Tensor = self.out(self.norm(x)).reshape(images.shape[0], -1, self.out.out_features)
        return made


class Pi0Shape(nn.Module):
    """An action chunk from images, words, a state and noise, by flow matching with ten Euler steps.

    To make the full size on a GPU, construct it there: `with torch.device("cuda"): Pi0Shape()`, then
    `.to(torch.bfloat16)`; only floats of the weights change their dtype, noise and actions stay float32.

    Args:
        config: Sizes; those of pi0 if None.
        fused: Whether to use our kernels, where there are any for the device; see `Operations`.
    """

    _turns: Tensor
    _times: Tensor
    _mask: Tensor | None

    def __init__(self, config: Pi0Config | None = None, *, fused: bool = False) -> None:
        super().__init__()
        self.config = config = config or Pi0Config()
        self.operations = FUSED if fused else EAGER
        expert = config.expert_width
        condition = expert if config.ada_rms else 0
        self.see = _Vision(config)
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.observe = nn.ModuleList(_Layer(config, config.width, config.mlp) for _ in range(config.depth))
        self.feel = nn.Linear(config.state, expert)
        self.intend = nn.Linear(config.actions, expert)
        self.clock = nn.Sequential(nn.Linear(expert, expert), nn.SiLU(), nn.Linear(expert, expert), nn.SiLU())
        self.mix = None if config.ada_rms else nn.Sequential(
            nn.Linear(2 * expert, expert), nn.SiLU(), nn.Linear(expert, expert)
        )  # fmt: skip
        self.act = nn.ModuleList(
            _Layer(config, expert, config.expert_mlp, condition) for _ in range(config.depth)
        )
        self.norm = _Norm(expert, condition)
        self.out = nn.Linear(expert, config.actions)
        phases = _phases(config)
        # As bits, so that a change of the weights' dtype leaves them alone.
        self.register_buffer("_turns", torch.stack([phases.cos(), phases.sin()]).view(torch.int32), False)
        self.register_buffer("_times", _waves(config).view(torch.int32), False)
        self.register_buffer("_mask", None if config.ada_rms else _mask(config), False)
        self._modulations: list[list[Modulation]] = []
        self.requires_grad_(requires_grad=False)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return actions, float32 [B, horizon, actions].

        Args:
            inputs: `images` float [B, cameras, 3, H, W], or instead of them `tokens` [B, P, width], which
                stand for all of the prefix; `words` int64 [B, words]; `state` [B, state]; `noise` float32
                [B, horizon, actions].
        """
        cache = self.prefix(inputs)
        x = inputs["noise"]
        for step in range(self.config.steps):
            x = self.denoise_step(x, step, cache, inputs["state"])
        return x

    def example_inputs(
        self, batch: int = 1, device: torch.device | str = "cpu", seed: int = 0
    ) -> dict[str, Tensor]:
        """Return random inputs, the same for a seed on all devices."""
        config, random = self.config, torch.Generator("cpu").manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(batch, *shape, generator=random, device="cpu")

        pixels, words = (config.cameras, 3, config.image_px, config.image_px), (batch, config.words)
        made = {
            "images": normal(*pixels).clamp(-1.0, 1.0),
            "words": torch.randint(config.vocabulary, words, generator=random, device="cpu"),
            "state": normal(config.state),
            "noise": normal(config.horizon, config.actions),
        }
        return {name: value.to(device) for name, value in made.items()}

    def prefix(self, inputs: Mapping[str, Tensor]) -> Cache:
        """Return the keys and values of an observation, with room for those of the expert behind them."""
        config, dtype = self.config, self.out.weight.dtype
        if "tokens" in inputs:
            x = inputs["tokens"].to(dtype)
        else:
            seen = self.see(inputs["images"].to(dtype))
            x = torch.cat([seen, self.embed(inputs["words"])], dim=1)
        batch, cache = x.shape[0], []
        room = (batch, config.kv_heads, config.prefix + config.suffix, config.head)
        _, normal = self.operations.ada_rms(x, self.observe[0].norm(batch, None).scale)
        for index, layer in enumerate(self.observe):
            keys, values = x.new_empty(room), x.new_empty(room)
            cache.append((keys, values))
            query = self._write(layer, normal, keys, values, 0)
            if index + 1 < config.depth:  # the last layer's tokens are read by nobody
                length = config.prefix
                found = self._attend(query, keys[:, :, :length], values[:, :, :length], None)
                scale = layer.norm_again(batch, None).scale
                x, normal = self.operations.ada_rms(x, scale, residual=layer.merge(found))
                scale = self.observe[index + 1].norm(batch, None).scale
                x, normal = self.operations.ada_rms(x, scale, residual=self._perceptron(layer, normal))
        return cache

    def denoise_step(self, x: Tensor, step: int, cache: Cache, state: Tensor) -> Tensor:
        """Return the chunks after one Euler step, float32 [B, horizon, actions]; writes into the cache.

        Args:
            x: The chunks before, float32.
            step: Its number, from 0; the flow time is 1 - step / steps, from noise to actions.
            cache: Of `prefix`.
            state: [B, state].
        """
        ops, batch, dtype = self.operations, x.shape[0], self.out.weight.dtype
        tokens = torch.cat([self.feel(state.to(dtype)).unsqueeze(1), self._intentions(x.to(dtype), step)], 1)
        norms = self._modulated(batch, step)
        mask = None if self._mask is None else self._mask[:, : self.config.prefix + self.config.suffix]
        _, normal = ops.ada_rms(tokens, norms[0].scale, norms[0].shift)
        for index, (layer, (keys, values)) in enumerate(zip(self.act, cache, strict=True)):
            before, between, after = norms[2 * index : 2 * index + 3]
            query = self._write(layer, normal, keys, values, self.config.prefix)
            found = layer.merge(self._attend(query, keys, values, mask))
            tokens, normal = ops.ada_rms(
                tokens, between.scale, between.shift, residual=found, gate=before.gate
            )
            risen = self._perceptron(layer, normal)
            tokens, normal = ops.ada_rms(tokens, after.scale, after.shift, residual=risen, gate=between.gate)
        return ops.euler(x, self.out(normal[:, 1:]), -1.0 / self.config.steps)

    def precompute(self) -> None:
        """Compute what the flow time does to each norm, once for all inferences: it depends on nothing else.

        To be called again when weights or their dtype or device change.
        """
        self._modulations = []
        self._modulations = [self._modulated(1, step) for step in range(self.config.steps)]

    def _modulated(self, batch: int, step: int) -> list[Modulation]:
        """Return the modulations of all norms of the expert, in their order."""
        if self._modulations:
            return [
                Modulation(*(part if part is None else part.expand(batch, -1) for part in each))
                for each in self._modulations[step]
            ]
        condition = self._clock(step).expand(batch, -1) if self.config.ada_rms else None
        norms = [norm for layer in self.act for norm in (layer.norm, layer.norm_again)]
        return [norm(batch, condition) for norm in (*norms, self.norm)]

    def _clock(self, step: int) -> Tensor:
        """Return the embedding of a step's flow time, [1, W]."""
        made: Tensor = self.clock(self._times.view(torch.float32)[step : step + 1].to(self.out.weight.dtype))
        return made

    def _intentions(self, x: Tensor, step: int) -> Tensor:
        """Return a token for each action [B, horizon, W]."""
        made: Tensor = self.intend(x)
        if self.mix is not None:
            made = self.mix(torch.cat([made, self._clock(step).expand_as(made)], dim=-1))
        return made

    def _write(self, layer: Any, normal: Tensor, keys: Tensor, values: Tensor, start: int) -> Tensor:
        """Write keys and values of tokens into the cache from `start` on; return the queries.

        They are [B, kv_heads, group * T, head]: heads that share keys are rows of one attention.
        """
        rows = slice(start, start + normal.shape[1])
        cos, sin = self._turns.view(torch.float32)[:, rows]
        query = self.operations.rotary(layer.project(normal), cos, sin, keys[:, :, rows], values[:, :, rows])
        return query.view(len(normal), self.config.kv_heads, -1, self.config.head)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return what queries as `_write` has them find, [B, T, heads * head]."""
        found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return found.reshape(len(found), self.config.heads, -1, self.config.head).transpose(1, 2).flatten(-2)

    def _perceptron(self, layer: Any, normal: Tensor) -> Tensor:
        """Return what a layer's gated perceptron makes of normalised tokens."""
        made: Tensor = layer.fall(self.operations.silu_gate(layer.rise(normal), activation="gelu_tanh"))
        return made


def _phases(config: Pi0Config) -> Tensor:
    """Phases [P + S, head / 2] of each position, prefix and suffix in one row."""
    pairs = config.head // 2
    frequencies = _LONGEST_ROPE ** (-torch.arange(pairs) / pairs)
    return torch.arange(config.prefix + config.suffix).unsqueeze(-1) * frequencies


def _mask(config: Pi0Config) -> Tensor:
    """What is added to the scores of pi0's expert, [group * S, P + S or more]: its state sees no action.

    Rows begin at multiples of 16 bytes in any dtype, else an attention on a GPU would copy them each time.
    """
    tokens = config.prefix + config.suffix
    mask = torch.zeros(config.suffix, tokens + -tokens % 16)
    mask[0, config.prefix + 1 :] = -math.inf
    return mask.repeat(config.heads // config.kv_heads, 1)


def _waves(config: Pi0Config) -> Tensor:
    """Sines and cosines [steps, W] of each step's flow time, in periods spaced evenly in logarithm."""
    first, last = map(math.log, _TIME_PERIODS)
    periods = torch.linspace(first, last, config.expert_width // 2).exp()
    times = 1.0 - torch.arange(config.steps) / config.steps
    phases = times.unsqueeze(-1) * (2.0 * math.pi / periods)
    return torch.cat([phases.sin(), phases.cos()], dim=-1)
