# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a quantised file says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import onnx

import lowlat_nodes
from lowlat_nodes.train.quantisation.source import Source

ORIGIN: Final = "quantised_from"
"""The metadata entry with the SHA-256 of the floating-point file."""


def stamp(model: onnx.ModelProto, source: Source, runtime: str, excluded: Sequence[str]) -> None:
    """Give a quantised model the metadata of the model that it was made of, and where it comes from.

    Args:
        model: Is changed.
        source: What it was made of.
        runtime: What it was made for.
        excluded: Layers that were kept in floating point because of what they do.
    """
    metadata = {item.key: item.value for item in source.model.metadata_props} | {
        ORIGIN: source.sha256,
        "quantised_by": f"lowlat_nodes {lowlat_nodes.__version__}",
        "quantised_for": runtime,
        "quantised_without": ",".join(excluded),
    }
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    used = {node.domain for node in model.graph.node}
    imports = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(imports)
