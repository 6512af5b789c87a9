# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Adapters of the `peft` library in a policy: few new weights beside frozen ones, merged in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.train.flow import Encoder, Head


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingExtra("peft", extra="finetune") from error
    return peft


_KINDS: Final[Mapping[str, Callable[[Any, int, list[str]], Any]]] = {
    "lora": lambda peft, rank, layers: peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers),
    "dora": lambda peft, rank, layers: peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=layers, use_dora=True
    ),
    "loha": lambda peft, rank, layers: peft.LoHaConfig(r=rank, alpha=2 * rank, target_modules=layers),
    "lokr": lambda peft, rank, layers: peft.LoKrConfig(r=rank, alpha=2 * rank, target_modules=layers),
    "ia3": lambda peft, _, layers: peft.IA3Config(target_modules=layers, feedforward_modules=[]),
}

KINDS: Final = tuple(_KINDS)
"""LoRA (arXiv 2106.09685), DoRA (2402.09353), LoHa (2108.06098), LoKr (2212.10650), IA3 (2205.05638)."""


@dataclass(frozen=True)
class AdapterConfig:
    """Which adapters; `rank` is that of the low-rank ones, `encoder` whether the encoder has some too."""

    kind: str = "lora"
    rank: int = 8
    encoder: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"expected an adapter of {', '.join(KINDS)}, got {self.kind!r}")
        if self.rank < 1:
            raise ConfigurationError(f"expected a rank of 1 or more, got {self.rank}")


class AdaptedPolicy:
    """Encoder and head with adapters in their linear and convolutional layers; all else is frozen.

    The networks are changed in place. Raises MissingExtra without `peft`.
    """

    def __init__(self, encoder: Encoder, head: Head, config: AdapterConfig) -> None:
        peft = _peft()
        self.net = nn.ModuleDict({"encoder": encoder, "head": head})
        layers = [
            name
            for name, module in self.net.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d) and (config.encoder or name.startswith("head."))
        ]
        self._model = peft.get_peft_model(self.net, _KINDS[config.kind](peft, config.rank, layers))

    @property
    def trained(self) -> int:
        """How many numbers are trained."""
        return sum(weight.numel() for weight in self.net.parameters() if weight.requires_grad)

    def merge(self) -> None:
        """Add what the adapters have learned to the weights of the networks, and remove them."""
        self._model.merge_and_unload()
