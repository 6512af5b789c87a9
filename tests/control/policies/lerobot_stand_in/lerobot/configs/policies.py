# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Of the stand-in: the configuration of a policy."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class PreTrainedConfig:
    def __init__(self, fields: dict[str, Any]) -> None:
        self.type = fields["type"]
        self.chunk_size = fields["chunk_size"]
        if self.type != "act":
            self.max_action_dim = 8
        self.input_features = _features(fields["input_features"])
        self.output_features = _features(fields["output_features"])
        self.image_features = {
            name: item for name, item in self.input_features.items() if item.type == "VISUAL"
        }
        self.device: Any = None
        self.pretrained_path: Any = None
        # What would be fetched from a hub, if nobody said otherwise.
        self.pretrained_backbone_weights: str | None = "from a hub"

    @staticmethod
    def from_pretrained(path: str) -> PreTrainedConfig:
        return PreTrainedConfig(json.loads((Path(path) / "config.json").read_text()))


def _features(features: dict[str, Any]) -> dict[str, SimpleNamespace]:
    return {
        name: SimpleNamespace(type=item["type"], shape=tuple(item["shape"]))
        for name, item in features.items()
    }
