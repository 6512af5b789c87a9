# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("sncosmo")
pytestmark = [pytest.mark.torch, pytest.mark.sky]


def test_options_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    from lowlat_nodes.train.alerts.command import main

    for options in (["--minutes", "0"], ["--objects", "0"], ["--threads", "0"]):
        with pytest.raises(SystemExit):
            main(options)
        assert "expected --minutes above 0" in capsys.readouterr().err


def test_a_short_run_leaves_a_model_that_classifies_and_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lowlat_nodes.alerts.token_classifier import TokenClassifier
    from lowlat_nodes.train.alerts.command import main
    from lowlat_nodes.train.alerts.sky import TEST_SEED, simulated

    sky, out = tmp_path / "sky", tmp_path / "out"
    short = ["--minutes", "0.02", "--objects", "150", "--test-objects", "100", "--sky", str(sky)]
    assert main([*short, "--out", str(out)]) == 0
    card = (out / "alerts.md").read_text()
    assert hashlib.sha256((out / "alerts.onnx").read_bytes()).hexdigest() in card
    assert "command: lowlat train alerts --minutes 0.02 --clock cpu --objects 150" in card
    assert "| as alerts come | 100 |" in card
    assert "| seen whole | 100 |" in card
    assert "| seen whole | 100 |" in capsys.readouterr().err
    test = simulated(100, TEST_SEED, sky)
    classifier = TokenClassifier(out / "alerts.onnx")
    np.testing.assert_allclose(classifier.classify(test.light_curves).sum(1), 1.0, rtol=1e-5)


def test_what_was_simulated_once_is_read_again(tmp_path: Path) -> None:
    from lowlat_nodes.train.alerts.sky import simulated

    made = simulated(40, 3, tmp_path)
    [path] = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    read = simulated(40, 3, tmp_path)
    assert path.stat().st_mtime_ns == written
    assert len(made) == len(read) == 40
    for name in ("offsets", "mjd", "band", "flux_njy", "error_njy", "detected"):
        np.testing.assert_array_equal(getattr(made.light_curves, name), getattr(read.light_curves, name))
    np.testing.assert_array_equal(made.labels, read.labels)
    assert (made.detections() > 0).all()


def test_the_temperature_undoes_what_was_too_sure() -> None:
    import torch

    from lowlat_nodes.train.alerts.calibrate import temperature

    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 12, generator=generator) * 2.0
    labels = torch.multinomial(torch.softmax(honest, -1), 1, generator=generator)[:, 0].numpy()
    assert temperature(honest * 3.0, labels) == pytest.approx(3.0, rel=0.1)
    assert temperature(honest * 0.5, labels) == pytest.approx(0.5, rel=0.1)


def test_training_lowers_the_loss_on_what_can_be_told_apart() -> None:
    import torch
    from torch.nn import functional

    from lowlat_nodes.train.alerts.fit import FitConfig, fit
    from lowlat_nodes.train.alerts.model import TokenModel
    from lowlat_nodes.train.yolov10.fit import Budget

    torch.manual_seed(0)
    tokens = torch.rand(96, 10, 5)
    tokens[..., 0] *= -50.0
    tokens[..., 2] *= 100.0
    tokens[..., 4] = 1.0
    labels = torch.arange(96) % 2
    tokens[labels == 1, :, 1] = 0.9
    net = TokenModel().eval()
    with torch.no_grad():
        before = float(functional.cross_entropy(net(tokens), labels))
    steps = iter(range(60))

    def batches():  # type: ignore[no-untyped-def]
        while True:
            yield tokens, labels

    config = FitConfig(average_decay=0.9)
    fitted = fit(net, batches(), config, Budget(60.0, lambda: float(next(steps, 61))), say=lambda _: None)
    with torch.no_grad():
        after = float(functional.cross_entropy(net(tokens), labels))
    assert fitted.steps > 10
    assert after < 0.3 < before
