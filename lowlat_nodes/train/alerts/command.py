# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train alerts`: the classifier of alerts on a simulated sky, within a budget of time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lowlat_nodes.train.alerts.options import parse
from lowlat_nodes.train.alerts.shipping import ship

if TYPE_CHECKING:
    from lowlat_nodes.train.alerts.fit import FitConfig, Fitted
    from lowlat_nodes.train.alerts.model import TokenModel
    from lowlat_nodes.train.alerts.sky import Labelled

ACCURACY: Final = 0.9
"""How often the likeliest class is to be right where the classifier does not abstain."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Train the classifier of alerts, and write it with its card; say how well it does in simulation."""
    options = parse(
        argv,
        program="lowlat train alerts",
        description=main.__doc__,
        name="alerts",
        minutes=60.0,
        objects=400_000,
        test_objects=24_000,
    )
    _train(options)
    return 0


def _train(options: argparse.Namespace) -> None:
    import torch

    from lowlat_nodes.train.alerts.fit import FitConfig, fit, views
    from lowlat_nodes.train.alerts.model import TokenModel
    from lowlat_nodes.train.alerts.sky import simulated
    from lowlat_nodes.train.yolov10.fit import CLOCKS, Budget

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    _say(f"simulating {options.objects} objects")
    sky = simulated(options.objects, options.seed, options.sky, processes=options.threads)
    config, net = FitConfig(), TokenModel()
    kept = options.sky / "alerts.pt"
    budget = Budget(60.0 * options.minutes, CLOCKS[options.clock])
    batches = views(sky.light_curves, sky.labels, config, options.seed)
    fitted = fit(
        net, batches, config, budget, say=_say, save=lambda average: torch.save(average.state_dict(), kept)
    )
    torch.save(net.state_dict(), kept)
    _ship(net, config, fitted, options)


def _ship(net: TokenModel, config: FitConfig, fitted: Fitted, options: argparse.Namespace) -> None:
    """Calibrate, write and judge the model, and write its card."""
    import numpy as np
    import torch

    from lowlat_nodes.alerts.token_classifier import TokenClassifier
    from lowlat_nodes.alerts.tokens import FIELDS, MOST, tokenise
    from lowlat_nodes.train.alerts import metrics
    from lowlat_nodes.train.alerts.calibrate import logits, temperature
    from lowlat_nodes.train.alerts.card import TEXT
    from lowlat_nodes.train.alerts.export import export_onnx
    from lowlat_nodes.train.alerts.model import Calibrated
    from lowlat_nodes.train.alerts.sky import CALIBRATION_SEED, TEST_SEED, simulated

    def unseen(seed: int) -> Labelled:
        return simulated(options.test_objects, seed, options.sky, processes=options.threads)

    known, test = unseen(CALIBRATION_SEED), unseen(TEST_SEED)
    scores = logits(net, tokenise(known.light_curves))
    warmth = temperature(scores, known.labels)
    guesses = torch.softmax(scores / warmth, -1).numpy()
    least = metrics.threshold(known.labels, guesses, ACCURACY)
    path = options.out / "alerts.onnx"
    few = tokenise(test.light_curves.take(np.arange(min(len(test), 2000))))
    error = export_onnx(Calibrated(net, warmth), path, few, threshold=least, accuracy=ACCURACY)
    ship(
        path,
        TokenClassifier(path),
        test,
        net,
        options,
        text=TEXT,
        facts={
            "depth": net.config.depth,
            "width": net.config.width,
            "fields": ", ".join(FIELDS),
            "most": MOST,
            "steps": fitted.steps,
            "batch": config.batch,
            "views": fitted.views,
            "learning_rate": config.learning_rate,
            "smoothing": config.smoothing,
            "temperature": warmth,
            "error": error,
        },
        say=_say,
    )
