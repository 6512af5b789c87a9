# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train t2`: the published network for alerts on a simulated sky, within a budget of time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lowlat_nodes.train.alerts.options import parse
from lowlat_nodes.train.alerts.shipping import ship

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
    import torch

    from lowlat_nodes.alerts.t2_classifier import SHIPPED, T2Classifier
    from lowlat_nodes.alerts.t2_inputs import MOST_EPOCHS, PASSBANDS
    from lowlat_nodes.train.alerts import metrics
    from lowlat_nodes.train.alerts.calibrate import temperature
    from lowlat_nodes.train.alerts.command import ACCURACY
    from lowlat_nodes.train.alerts.sky import CALIBRATION_SEED, TEST_SEED, simulated
    from lowlat_nodes.train.t2.card import TEXT
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
    ship(
        path,
        T2Classifier(path),
        test,
        net,
        options,
        text=TEXT,
        facts={
            "width": sizes.width,
            "heads": sizes.heads,
            "steps": sizes.steps,
            "channels": sizes.channels,
            "passbands": " and ".join(PASSBANDS),
            "most": MOST_EPOCHS,
            "unit": FLUX_UNIT_NJY,
            "steps_taken": fitted.steps,
            "batch": config.batch,
            "learning_rate": config.learning_rate,
            "temperature": warmth,
        },
        say=_say,
    )
