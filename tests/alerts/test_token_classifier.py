# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes import resources
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.photometry import light_curve
from lowlat_nodes.alerts.token_classifier import TokenClassifier
from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.stream.errors import ConfigurationError


@pytest.fixture(scope="module")
def classifier() -> TokenClassifier:
    return TokenClassifier()


def curves(counts: list[int], seed: int = 0) -> LightCurves:
    """Alerts of some numbers of epochs, as nobody has seen them."""
    random = np.random.default_rng(seed)
    total = sum(counts)
    owner = np.repeat(np.arange(len(counts)), counts)
    mjd = random.random(total) * 200.0 + 60000.0
    return LightCurves(
        np.arange(len(counts)),
        [""] * len(counts),
        np.append(0, np.cumsum(counts)).astype(np.int64),
        mjd[np.lexsort((mjd, owner))],
        random.integers(0, 6, total).astype(np.uint8),
        random.normal(3e4, 2e4, total),
        random.uniform(1e3, 3e3, total),
        random.random(total) < 0.7,
    )


def test_probabilities_are_a_row_of_twelve_for_each_alert(classifier: TokenClassifier) -> None:
    probabilities = classifier.classify(curves([3, 80, 1, 500, 12] * 20))
    assert probabilities.shape == (100, len(CLASSES))
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-5)


def test_an_alert_is_classified_alike_in_any_company(classifier: TokenClassifier) -> None:
    counts = [5, 40, 2, 120, 64, 17]
    together = classifier.classify(curves(counts))
    whole = curves(counts)
    for number, row in enumerate(together):
        epochs = slice(whole.offsets[number], whole.offsets[number + 1])
        alone = LightCurves(
            whole.alert_id[number : number + 1],
            [""],
            np.array([0, counts[number]]),
            whole.mjd[epochs],
            whole.band[epochs],
            whole.flux_njy[epochs],
            whole.error_njy[epochs],
            whole.detected[epochs],
        )
        np.testing.assert_allclose(classifier.classify(alone)[0], row, atol=1e-4)


def test_of_an_alert_without_epochs_nothing_is_known(classifier: TokenClassifier) -> None:
    probabilities = classifier.classify(curves([0, 4, 0]))
    assert (probabilities[[0, 2]] == np.float32(1 / 12)).all()
    assert probabilities[0].max() < classifier.threshold


def test_no_alerts_have_no_probabilities(classifier: TokenClassifier) -> None:
    assert classifier.classify(curves([])).shape == (0, len(CLASSES))


def test_a_textbook_type_ia_supernova_is_one(classifier: TokenClassifier) -> None:
    """The magnitudes of SN 2011fe (Munari et al. 2013), rounded, as if it were ten times as far away."""
    days = np.array([-14, -12, -9, -6, -3, 0, 3, 7, 11, 15, 20, 25, 30, 40, 50, 60])
    b = np.array(
        [
            13.4,
            12.4,
            11.3,
            10.6,
            10.15,
            10.0,
            10.05,
            10.25,
            10.6,
            11.05,
            11.7,
            12.25,
            12.6,
            12.95,
            13.1,
            13.25,
        ]
    )
    v = np.array(
        [13.1, 12.2, 11.2, 10.6, 10.2, 10.0, 9.98, 10.05, 10.25, 10.5, 10.8, 11.1, 11.45, 12.0, 12.3, 12.6]
    )
    r = np.array(
        [
            13.1,
            12.2,
            11.2,
            10.6,
            10.2,
            10.02,
            10.0,
            10.1,
            10.35,
            10.55,
            10.65,
            10.8,
            11.05,
            11.65,
            12.0,
            12.35,
        ]
    )
    curve = light_curve(
        55815.0 + np.concatenate([days, days, days]),
        ["B"] * 16 + ["V"] * 16 + ["R"] * 16,
        magnitude=np.concatenate([b, v, r]) + 5.0,
        error=np.full(48, 0.03),
        vega=True,
    )
    assert CLASSES[classifier.classify(curve)[0].argmax()] == "SN Ia"


def test_it_says_what_it_is(classifier: TokenClassifier) -> None:
    content = resources.model("alerts").read_bytes()
    assert classifier.name == "tokens"
    assert classifier.sha256 == hashlib.sha256(content).hexdigest()
    assert 0.3 < classifier.threshold < 1.0
    assert classifier.backend == "onnxruntime on cpu, 1 thread, fp32"


def test_its_card_is_that_of_the_file() -> None:
    model = resources.model("alerts")
    assert hashlib.sha256(model.read_bytes()).hexdigest() in model.with_suffix(".md").read_text()


def test_another_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lowlat train alerts.*contract"):
        TokenClassifier(resources.model("reach_flow"))
    with pytest.raises(ConfigurationError, match="expected an ONNX file"):
        TokenClassifier(Path("nowhere.onnx"))


@pytest.mark.openvino
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_says_the_same(classifier: TokenClassifier, precision: str) -> None:
    openvino = pytest.importorskip("lowlat_nodes.inference.openvino")
    if not openvino.is_installed() or precision not in openvino.precisions("CPU"):
        pytest.skip(f"no OpenVINO that computes in {precision} here")
    settings = BackendSettings(kind="openvino", threads=1, precision=precision)
    given = curves([3, 80, 1, 500, 12] * 20)
    apart = np.abs(TokenClassifier(settings=settings).classify(given) - classifier.classify(given))
    # bfloat16 rounds times too: few alerts change much, most hardly.
    assert (apart.max() < 1e-3) if precision == "fp32" else (apart.mean() < 0.02)
