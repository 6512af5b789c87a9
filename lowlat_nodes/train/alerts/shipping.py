# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The last step of training a classifier of alerts: judge the file that was written, and write its card."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lowlat_nodes.train.alerts.options import command_line

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from lowlat_nodes.alerts.classifier import Classifier
    from lowlat_nodes.train.alerts.sky import Labelled


def ship(
    path: Path,
    classifier: Classifier,
    test: Labelled,
    net: nn.Module,
    options: argparse.Namespace,
    *,
    text: str,
    facts: Mapping[str, object],
    say: Callable[[str], object],
) -> None:
    """Judge a classifier on objects that nothing of it has seen, and write its card.

    Args:
        path: Its file, already there.
        classifier: That file as a node loads it.
        test: Simulated alerts.
        net: What was trained, for its size.
        options: Of the command line.
        text: The card, with placeholders.
        facts: What this kind of classifier says of itself there.
        say: Takes the rows of the card's table.
    """
    import numpy as np
    import onnxruntime
    import torch

    from lowlat_nodes.train.alerts.card import Judged, rows, write_card
    from lowlat_nodes.train.alerts.sky import CALIBRATION_SEED, TEST_SEED, generator_digest
    from lowlat_nodes.train.alerts.whole import whole_light_curves

    seen_whole = whole_light_curves(options.test_objects, TEST_SEED)
    whole = Judged(seen_whole, classifier.classify(seen_whole.light_curves))
    alerts = Judged(test, classifier.classify(test.light_curves))
    sure = alerts.probabilities.max(1) >= classifier.threshold
    right = alerts.probabilities.argmax(1) == test.labels
    card = write_card(
        path,
        text,
        whole,
        alerts,
        {
            "command": command_line(options),
            "seed": options.seed,
            "generator": generator_digest(),
            "libraries": f"torch {torch.__version__}, numpy {np.__version__}, onnxruntime "
            f"{onnxruntime.__version__}",
            "parameters": sum(weight.numel() for weight in net.parameters()),
            "threshold": classifier.threshold,
            "accuracy": right[sure].mean() if sure.any() else 1.0,
            "share": sure.mean(),
            "objects": options.objects,
            "minutes": options.minutes,
            "clock": {"cpu": "CPU", "wall": "wall-clock time"}[options.clock],
            "calibrated": options.test_objects,
            "calibration_seed": CALIBRATION_SEED,
            "test_seed": TEST_SEED,
            **facts,
        },
    )
    for line in rows(whole, alerts):
        say(line)
    say(f"{card} written")
