# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A transformer over the tokens of a light curve that is fast on one core of a CPU.

Layers have no biases and normalise by the root mean square without gains, since small element-wise operations
cost as much as multiplications here. All that depends on units is in `features`: what is learnt sees ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.stream.errors import ConfigurationError

TIME_SCALES_DAYS: Final = (0.03, 0.3, 3.0, 12.0, 40.0, 150.0, 600.0)
_FAR: Final = -1e4  # what is added to the score of padding


@dataclass(frozen=True)
class TokenModelConfig:
    """Sizes: `width` of a token, `depth` in layers, `hidden` width of perceptrons, `heads` of the pooling."""

    width: int = 64
    depth: int = 2
    hidden: int = 128
    heads: int = 4

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigurationError(f"width {self.width} cannot be shared by {self.heads} heads")


def features(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Features of each token, float32 [B, L, F], and which are tokens, 1 or 0 [B, L, 1].

    Times are relative to the last epoch, the first detection and the brightest one, on several scales at
    once; fluxes are relative to the brightest detection and to their own errors; the wavelength is a smooth
    curve, so that any passband has its place. The size of the brightest detection is there too, as the only
    thing that is absolute. `tokens` are those of `lowlat_nodes.alerts.tokens`, float32 [B, L, 5].
    """
    days, wavelength, flux, error, detected = tokens.split(1, dim=-1)
    real = (error > 0.0).to(tokens.dtype)
    detected = detected * real
    size = flux.abs()
    brightest = (size * detected).amax(1, keepdim=True)
    loudest = (torch.maximum(size, error) * real).amax(1, keepdim=True)
    scale = torch.where(brightest > 0.0, brightest, loudest).clamp(min=1e-3)
    error = torch.where(real > 0.0, error, scale)
    # Not a time of padding, which is at 0 days as the last epoch is.
    first = (days * detected).amin(1, keepdim=True)
    peak_flux = (flux * detected).amax(1, keepdim=True)
    at_peak = detected * (flux >= peak_flux).to(tokens.dtype)
    peak = (days * at_peak).amin(1, keepdim=True)
    count = len(TIME_SCALES_DAYS)
    times = torch.cat([days] * count + [days - first] * count + [days - peak] * count, dim=-1)
    scales = torch.tensor(TIME_SCALES_DAYS * 3, dtype=tokens.dtype, device=tokens.device)
    times = times / (times.abs() + scales)
    relative = flux / scale
    ratio = flux / error
    spread = error / scale
    size = relative.abs()
    logs = torch.log(torch.cat([size + spread, spread, ratio.abs() + 1.0], dim=-1).clamp(min=1e-6, max=1e6))
    centred = (wavelength - 0.6) * 4.0
    curve = torch.cat(
        [centred, centred * centred, torch.sin(centred * 2.0), torch.cos(centred * 3.0)], dim=-1
    )
    found = detected.sum(1, keepdim=True)
    whole = torch.cat([torch.log(scale) * 0.1 - 1.0, torch.log(found + 1.0) * 0.5 - 1.0], dim=-1)
    # Being a token is a feature, so that what follows needs no bias.
    told = torch.cat(
        [
            times,
            relative,
            ratio / (ratio.abs() + 4.0),
            logs * 0.3,
            detected,
            real,
            curve,
            whole * real,
        ],
        dim=-1,
    )
    return told, real


FEATURES: Final = 3 * len(TIME_SCALES_DAYS) + 2 + 3 + 2 + 4 + 2


def _norm(x: Tensor) -> Tensor:
    """Divide by the root of the mean square."""
    normal = x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    # ONNX has no operator for it before opset 23. ONNX Runtime knows it by this form, gains included.
    return normal * torch.ones(int(x.shape[-1])) if torch.onnx.is_in_onnx_export() else normal


def _linear(inside: int, outside: int) -> nn.Linear:
    return nn.Linear(inside, outside, bias=False)


class _Layer(nn.Module):
    """Attention among the tokens, then a perceptron of each; both add to what they see.

    With one head the products of queries and keys, and of values and outputs, are one matrix each: half the
    multiplications of four, and nothing to reshape.
    """

    def __init__(self, config: TokenModelConfig) -> None:
        super().__init__()
        self.ask, self.value = (_linear(config.width, config.width) for _ in range(2))
        self.rise = _linear(config.width, config.hidden)
        self.fall = _linear(config.hidden, config.width)
        with torch.no_grad():
            self.ask.weight *= (
                config.width**-0.5
            )  # scores begin near 0, as those that are divided by its root

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        seen = _norm(x)
        scores = self.ask(seen) @ seen.transpose(1, 2) + bias
        x = x + torch.softmax(scores, -1) @ self.value(seen)
        return cast(Tensor, x + self.fall(functional.relu(self.rise(_norm(x)))))


class _Pool(nn.Module):
    """One token that has looked at all of them, knowing their mean and their extremes.

    Few ask and many answer, so keys and values are never made: what asks is turned to face the tokens, and
    what was found is turned back.
    """

    own: Tensor

    def __init__(self, config: TokenModelConfig) -> None:
        super().__init__()
        self.ask = _linear(2 * config.width, config.width)
        self.key, self.value, self.merge = (_linear(config.width, config.width) for _ in range(3))
        self.rise = nn.Linear(config.width, 2 * config.hidden)
        self.fall = _linear(2 * config.hidden, config.width)
        parts = torch.arange(config.width) // (config.width // config.heads)
        own = (parts == torch.arange(config.heads)[:, None]).float()
        self.register_buffer("own", own, persistent=False)  # [heads, width], which part is whose

    def forward(self, x: Tensor, real: Tensor, bias: Tensor) -> Tensor:
        seen = _norm(x)
        mean = (seen * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1.0)
        most = (seen + (real - 1.0) * -_FAR).amax(1, keepdim=True).clamp(min=_FAR / 2)
        pooled = self.ask(torch.cat([mean, most], dim=-1))
        query = (_norm(pooled) * self.own) @ self.key.weight
        scores = torch.softmax(query @ seen.transpose(1, 2) + bias, -1)
        found = (self.value(scores @ seen) * self.own).sum(1)
        pooled = pooled.squeeze(1) + self.merge(found)
        return cast(Tensor, pooled + self.fall(functional.relu(self.rise(_norm(pooled)))))


class TokenModel(nn.Module):
    """Logits of the classes [B, 12] for tokens [B, L, 5]; see `features`."""

    def __init__(self, config: TokenModelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TokenModelConfig()
        self.see = _linear(FEATURES, config.hidden)
        self.embed = _linear(config.hidden, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.depth))
        self.pool = _Pool(config)
        self.out = nn.Linear(config.width, len(CLASSES))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [B, 12]."""
        seen, real = features(tokens)
        bias = ((real - 1.0) * -_FAR).transpose(1, 2)
        x = self.embed(functional.relu(self.see(seen)))
        for layer in self.layers:
            x = layer(x, bias)
        return cast(Tensor, self.out(_norm(self.pool(x, real, bias))))


class Calibrated(nn.Module):
    """Probabilities: the softmax of logits over a temperature (Guo et al. 2017, arXiv 1706.04599)."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, tokens: Tensor) -> Tensor:
        """Probabilities [B, 12]."""
        return torch.softmax(self.model(tokens) / self.temperature, dim=-1)
