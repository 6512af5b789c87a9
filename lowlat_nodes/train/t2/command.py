# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train t2`: the published network for alerts on a simulated sky, within a budget of time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lowlat_nodes.train.alerts.options import parse

if TYPE_CHECKING:
    from lowlat_nodes.train.t2.fit import FitConfig, Fitted
    from lowlat_nodes.train.t2.model import ScaledT2


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Train t2, and write it with its card; say how well it does in simulation."""
    options = parse(
        argv,
        program="lowlat train t2",
        description=main.__doc__,
        name="alerts_t2",
        minutes=18.0,
        objects=50_000,
        test_objects=6_000,
    )
    _train(options)
    return 0


def _train(options: argparse.Namespace) -> None:
    import torch

    from lowlat_nodes.train.alerts.sky import simulated
    from lowlat_nodes.train.t2.examples import Examples
    from lowlat_nodes.train.t2.fit import FitConfig, fit
    from lowlat_nodes.train.t2.model import ScaledT2
    from lowlat_nodes.train.yolov10.fit import CLOCKS, Budget

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    _say(f"simulating {options.objects} objects")
    sky = simulated(options.objects, options.seed, options.sky, processes=options.threads)
    _say("interpolating them")
    examples = Examples.of(sky.light_curves, sky.labels)
    config, net = FitConfig(), ScaledT2()
    budget = Budget(60.0 * options.minutes, CLOCKS[options.clock])
    fitted = fit(net, examples, config, budget, seed=options.seed, say=_say)
    _ship(net, config, fitted, options)


def _ship(net: ScaledT2, config: FitConfig, fitted: Fitted, options: argparse.Namespace) -> None:
    """Calibrate, write and judge the network, and write its card."""
    import numpy as np
    import onnxruntime
    import torch

    from lowlat_nodes.alerts.t2_classifier import SHIPPED, T2Classifier
    from lowlat_nodes.alerts.t2_inputs import MOST_EPOCHS, PASSBANDS
    from lowlat_nodes.train.alerts import metrics
    from lowlat_nodes.train.alerts.calibrate import temperature
    from lowlat_nodes.train.alerts.card import Judged, rows
    from lowlat_nodes.train.alerts.command import ACCURACY
    from lowlat_nodes.train.alerts.sky import CALIBRATION_SEED, TEST_SEED, generator_digest, simulated
    from lowlat_nodes.train.alerts.whole import whole_light_curves
    from lowlat_nodes.train.t2.card import write_card
    from lowlat_nodes.train.t2.examples import Examples
    from lowlat_nodes.train.t2.fit import logits
    from lowlat_nodes.train.t2.graph import write_onnx
    from lowlat_nodes.train.t2.model import FLUX_UNIT_NJY

    known, test = (
        simulated(options.test_objects, seed, options.sky, processes=options.threads)
        for seed in (CALIBRATION_SEED, TEST_SEED)
    )
    scores = logits(net, Examples.of(known.light_curves, known.labels))
    warmth = temperature(scores, known.labels)
    with torch.no_grad():
        for weight in net.network.classify.parameters():
            weight.div_(warmth)
    least = metrics.threshold(known.labels, torch.softmax(scores / warmth, -1).numpy(), ACCURACY)
    options.out.mkdir(parents=True, exist_ok=True)
    path, sizes = options.out / f"{SHIPPED}.onnx", net.network.config
    write_onnx(net.network.state_dict(), path, sizes, threshold=least)
    classifier = T2Classifier(path)
    seen_whole = whole_light_curves(options.test_objects, TEST_SEED)
    whole = Judged(seen_whole, classifier.classify(seen_whole.light_curves))
    probabilities = classifier.classify(test.light_curves)
    sure = probabilities.max(1) >= least
    right = probabilities.argmax(1) == test.labels
    card = write_card(
        path,
        whole,
        Judged(test, probabilities),
        {
            "command": f"lowlat train t2 --minutes {options.minutes:g} --clock {options.clock} --objects "
            f"{options.objects} --test-objects {options.test_objects} --seed {options.seed}",
            "seed": options.seed,
            "generator": generator_digest(),
            "libraries": f"torch {torch.__version__}, numpy {np.__version__}, onnxruntime "
            f"{onnxruntime.__version__}",
            "parameters": sum(weight.numel() for weight in net.parameters()),
            "width": sizes.width,
            "heads": sizes.heads,
            "steps": sizes.steps,
            "channels": sizes.channels,
            "passbands": " and ".join(PASSBANDS),
            "most": MOST_EPOCHS,
            "unit": FLUX_UNIT_NJY,
            "threshold": least,
            "accuracy": right[sure].mean() if sure.any() else 1.0,
            "share": sure.mean(),
            "objects": options.objects,
            "steps_taken": fitted.steps,
            "batch": config.batch,
            "minutes": options.minutes,
            "clock": {"cpu": "CPU", "wall": "wall-clock time"}[options.clock],
            "learning_rate": config.learning_rate,
            "temperature": warmth,
            "calibrated": len(known),
            "calibration_seed": CALIBRATION_SEED,
            "test_seed": TEST_SEED,
        },
    )
    for line in rows(whole, Judged(test, probabilities)):
        _say(line)
    _say(f"{card} written")
