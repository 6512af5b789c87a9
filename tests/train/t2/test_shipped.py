# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The t2 that ships is the one of its card, and does on other objects about what the card says."""

from __future__ import annotations

import hashlib

import pytest

from lowlat_nodes import resources
from lowlat_nodes.alerts.t2_classifier import SHIPPED, T2Classifier

MODEL = resources.model(SHIPPED)


def test_the_card_is_of_this_file() -> None:
    card = MODEL.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() in card
    assert f"bytes: {MODEL.stat().st_size}\n" in card
    assert MODEL.stat().st_size < 100_000
    assert f"below {T2Classifier().threshold:.3f}" in card


@pytest.mark.torch
def test_it_has_the_published_sizes() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from lowlat_nodes.train.t2.graph import read_onnx

    net = read_onnx(MODEL)
    config = net.network.config
    assert (config.steps, config.width, config.heads, config.hidden) == (100, 32, 16, 128)
    # 13,262 with 2 channels and 14 classes.
    assert sum(weight.numel() for weight in net.parameters()) == 13_262 + 3 * 32 - 2 * 33


@pytest.mark.torch
@pytest.mark.sky
def test_it_tells_the_classes_of_unseen_objects_apart() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sncosmo")
    from lowlat_nodes.sim.sky.population import generate
    from lowlat_nodes.train.alerts import metrics

    curves, labels, _ = generate(480, 1_000_003)
    found = T2Classifier().classify(curves)
    assert metrics.log_loss(labels, found) < 1.5  # 2.48 for equal probabilities
    assert (found.argmax(1) == labels).mean() > 0.45  # 0.08 by chance
