# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("skimage")
pytestmark = [pytest.mark.torch, pytest.mark.photographs]


def test_training_and_unseen_images_share_no_photograph() -> None:
    from lowlat_nodes.sim.shapes.photographs import TEST, TRAIN

    assert not set(TRAIN) & set(TEST)


def test_options_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    from lowlat_nodes.train.detector import main

    for options in (["--minutes", "0"], ["--batch", "3"], ["--frames", "0"]):
        with pytest.raises(SystemExit):
            main(options)
        assert "expected --minutes above 0" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_run_leaves_a_model_its_card_and_weights_to_go_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lowlat_nodes.inference.onnx import OnnxModel
    from lowlat_nodes.train.detector import main

    weights = tmp_path / "weights.pt"
    short = ["--minutes", "0.03", "--size", "64", "--batch", "2", "--frames", "2", "--weights", str(weights)]
    assert main([*short, "--out", str(tmp_path)]) == 0
    model = OnnxModel(tmp_path / "shapes.onnx")
    assert model.inputs["images"].shape == (1, 3, 64, 64)
    assert model.outputs["output0"].shape[2] == 6
    card = (tmp_path / "shapes.md").read_text()
    assert hashlib.sha256((tmp_path / "shapes.onnx").read_bytes()).hexdigest() in card
    assert "command: lowlat train detector --minutes 0.03" in card

    again = tmp_path / "again"
    assert main([*short, "--out", str(again), "--from", str(weights), "--clock", "wall"]) == 0
    assert "--from weights.pt" in (again / "shapes.md").read_text()
    assert "without NMS" in capsys.readouterr().err
