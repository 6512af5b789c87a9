# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a light curve holds, both networks give probabilities, the same in any company, and a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.classifier import Classifier
from lowlat_nodes.alerts.epochs import (
    DETECTION,
    FIRST_MJD,
    LAST_MJD,
    LEAST_ERROR_NJY,
    LIMIT,
    MOST_NJY,
    Epochs,
    in_order,
    usable,
)
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.loading import SHIPPED, load_classifier
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.alerts.result import results
from lowlat_nodes.transport.records import decode, encode

ALIKE = 1e-4
"""How far probabilities may differ by what else is in a batch; results have 6 decimals."""


@dataclass
class Read:
    """Alerts as results need them."""

    light_curves: LightCurves

    @property
    def surveys(self) -> list[str]:
        return ["ztf"] * len(self.light_curves)

    schema_versions = surveys


@pytest.fixture(scope="module", params=list(SHIPPED))
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return load_classifier(request.param)


def light_curve(count: int, random: np.random.Generator, **fixed: float | bool) -> LightCurves:
    """Return what packets with such epochs would give, drawn over all that may be, unless it is fixed."""
    given = {
        "mjd": random.uniform(FIRST_MJD, LAST_MJD, count),
        "flux": 10 ** random.uniform(-3, np.log10(MOST_NJY), count) * random.choice([-1, 1], count),
        "error": 10 ** random.uniform(np.log10(LEAST_ERROR_NJY), np.log10(MOST_NJY), count),
        "detected": random.random(count) < 0.5,
    }
    for name, value in fixed.items():
        given[name] = np.full(count, value)
    epochs = Epochs(
        np.zeros(count, np.int64),
        given["mjd"],
        random.integers(0, len(NAMES), count).astype(np.uint8),
        given["flux"],
        given["error"],
        np.where(given["detected"], DETECTION, LIMIT).astype(np.uint8),
    )
    epochs = in_order(epochs.take(usable(epochs)))
    return LightCurves(
        np.zeros(1, np.int64),
        ["odd"],
        np.array([0, len(epochs.mjd)]),
        epochs.mjd,
        epochs.band,
        epochs.flux_njy,
        epochs.error_njy,
        epochs.kind == DETECTION,
    )


def odd_light_curves() -> list[LightCurves]:
    random = np.random.default_rng(1)
    faint, bright = 1.01 * LEAST_ERROR_NJY, 0.99 * MOST_NJY
    made = [light_curve(count, random) for count in (0, 1, 1, 2, 3, 65, 500, 100_000)]
    for count in (1, 7, 80):
        made += [
            light_curve(count, random, detected=False, flux=0.0),
            light_curve(count, random, detected=True, flux=-1e5),
            light_curve(count, random, detected=True, flux=0.0),
            light_curve(count, random, mjd=60000.0),
            light_curve(count, random, flux=bright, error=faint),
            light_curve(count, random, flux=faint, error=bright),
            light_curve(count, random, flux=-bright, error=bright, detected=True),
        ]
    return made


@pytest.mark.filterwarnings("error")
def test_any_light_curve_has_probabilities_and_a_result(classifier: Classifier) -> None:
    alone = odd_light_curves()
    together = LightCurves.concatenate(alone)
    found = classifier.classify(together)
    assert np.isfinite(found).all()
    assert (found >= 0.0).all()
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-5)
    for record in results(Read(together), found, classifier, [7] * len(alone)):
        fields = decode(encode(record)).fields
        assert sum(fields["p"].values()) == pytest.approx(1.0, abs=1e-5)
        assert list(fields["p"]) == list(CLASSES)


def test_what_else_is_in_a_batch_changes_nothing(classifier: Classifier) -> None:
    alone = odd_light_curves()
    together = LightCurves.concatenate(alone)
    found = classifier.classify(together)
    order = np.random.default_rng(2).permutation(len(alone))
    np.testing.assert_allclose(classifier.classify(together.take(order)), found[order], atol=ALIKE)
    for number, curve in enumerate(alone):
        np.testing.assert_allclose(classifier.classify(curve)[0], found[number], atol=ALIKE)
