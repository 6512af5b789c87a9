# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The classifier of alerts as an ONNX file that takes tokens as they are and gives probabilities."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import nn

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.token_classifier import CONTRACT
from lowlat_nodes.alerts.tokens import FIELDS, Tokens
from lowlat_nodes.inference.onnx import OnnxModel

OPSET: Final = 17


def export_onnx(net: nn.Module, path: Path, tokens: Tokens, *, threshold: float, accuracy: float) -> float:
    """Write a network as ONNX; return its largest error against torch on some tokens, in probability.

    Args:
        net: Gives probabilities [B, 12] for tokens [B, L, 5].
        path: The file.
        tokens: Of alerts to compare on.
        threshold: Probability below which to abstain.
        accuracy: How often the likeliest class is right from there on, in simulation.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    net.eval()
    batches = list(tokens.batches(64))
    example = torch.from_numpy(batches[-1][1][:2])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls this exporter legacy; the other one needs onnxscript
        torch.onnx.export(
            net,
            (example,),
            str(path),
            input_names=["tokens"],
            output_names=["probabilities"],
            dynamic_axes={"tokens": {0: "batch", 1: "length"}, "probabilities": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(path)
        for key, value in {
            "contract": CONTRACT,
            "classes": json.dumps(CLASSES),
            "fields": json.dumps(FIELDS),
            "threshold": repr(threshold),
            "threshold_accuracy": repr(accuracy),
        }.items():
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        made = OnnxModel(path, threads=1)
        errors = [
            np.abs(
                made.run({"tokens": values}, ["probabilities"])[0] - net(torch.from_numpy(values)).numpy()
            ).max()
            for _, values in batches
        ]
    return float(max(errors))
