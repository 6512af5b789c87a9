# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train t2` writes a model that the classifier takes, and a card that says how it was made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

for module in ("torch", "onnx", "sncosmo"):
    pytest.importorskip(module)
pytestmark = [pytest.mark.torch, pytest.mark.sky]


def test_it_trains_and_ships(tmp_path: Path) -> None:
    from lowlat_nodes.alerts.t2_classifier import T2Classifier
    from lowlat_nodes.train.t2 import command

    arguments = ["--minutes", "0.01", "--objects", "120", "--test-objects", "96"]
    assert command.main([*arguments, "--out", str(tmp_path), "--sky", str(tmp_path / "sky")]) == 0
    model, card = tmp_path / "alerts_t2.onnx", (tmp_path / "alerts_t2.md").read_text()
    classifier = T2Classifier(model)
    assert 0.0 < classifier.threshold <= 1.0
    assert hashlib.sha256(model.read_bytes()).hexdigest() in card
    assert "lowlat train t2 --minutes 0.01" in card
    assert "13292 parameters" in card
    assert "| ztf |" in card


def test_arguments_that_train_nothing_are_refused() -> None:
    from lowlat_nodes.train.t2 import command

    with pytest.raises(SystemExit):
        command.main(["--minutes", "0"])
