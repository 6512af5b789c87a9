# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The t2 classifier runs whatever `lowlat train t2` writes, and gives probabilities of every light curve."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.t2_classifier import T2Classifier
from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.torch


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from lowlat_nodes.train.t2.graph import write_onnx
    from lowlat_nodes.train.t2.model import OURS, ScaledT2

    torch.manual_seed(0)
    write_onnx(ScaledT2().network.state_dict(), tmp_path / "t2.onnx", OURS, threshold=0.25)
    return tmp_path / "t2.onnx"


def light_curves(counts: list[int]) -> LightCurves:
    random = np.random.default_rng(0)
    total = sum(counts)
    mjd = np.concatenate([np.sort(random.uniform(60000.0, 60080.0, count)) for count in counts])
    return LightCurves(
        np.arange(len(counts)),
        [""] * len(counts),
        np.concatenate([[0], np.cumsum(counts)]),
        mjd,
        random.choice([CODES["ztf_g"], CODES["ztf_r"]], total).astype(np.uint8),
        random.normal(0.0, 1e5, total),
        np.full(total, 2e3),
        np.ones(total, bool),
    )


def test_every_light_curve_gets_probabilities(model: Path) -> None:
    classifier = T2Classifier(model)
    curves = light_curves([5, 0, 1, 40, *[3] * 30])
    found = classifier.classify(curves)
    assert found.shape == (34, 12)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-5)
    assert np.all(found[1] == np.float32(1 / 12))
    assert np.ptp(found[0]) > 0.0
    assert classifier.classify(light_curves([0])).shape == (1, 12)
    assert classifier.name == "t2"
    assert classifier.threshold == 0.25
    assert classifier.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()


def test_brightness_and_duration_change_the_result(model: Path) -> None:
    classifier, curves = T2Classifier(model), light_curves([10])
    before = classifier.classify(curves)
    curves.flux_njy *= 10.0
    curves.error_njy *= 10.0
    brighter = classifier.classify(curves)
    curves.mjd[:] = curves.mjd[0] + 10.0 * (curves.mjd - curves.mjd[0])
    longer = classifier.classify(curves)
    assert np.abs(brighter - before).max() > 1e-3
    assert np.abs(longer - brighter).max() > 1e-3


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("contract", "another", "lowlat-t2-1"),
        ("classes", "[]", "expected classes"),
        ("passbands", '["ztf_r", "ztf_g"]', "expected passbands"),
        ("threshold", "much", "expected a number"),
        ("threshold", "2", "from 0 to 1"),
    ],
)
def test_a_model_of_another_kind_is_refused(
    model: Path, tmp_path: Path, key: str, value: str, message: str
) -> None:
    changed = onnx.load(model)
    for entry in changed.metadata_props:
        if entry.key == key:
            entry.value = value
    onnx.save(changed, tmp_path / "changed.onnx")
    with pytest.raises(ConfigurationError, match=message):
        T2Classifier(tmp_path / "changed.onnx")
