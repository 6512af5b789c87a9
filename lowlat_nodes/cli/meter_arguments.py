# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Command-line arguments about energy meters: which are read, and what stands in for them."""

from __future__ import annotations

import argparse

from lowlat_nodes.energy.meters.cpu_model import BUSY_W, IDLE_W
from lowlat_nodes.energy.meters.discovery import MeterSettings
from lowlat_nodes.stream.config import build


def add_meters(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is read."""
    parser.add_argument(
        "--without", action="append", default=[], metavar="METER",
        help="leave out meters whose name begins so; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--sensor", action="append", default=[], metavar="NAME=DEVICE",
        help="read a sensor that only you can tell, as one of cpu, memory, gpu0, other, or board where it "
        "is of everything; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--model-w", type=float, default=BUSY_W, metavar="W",
        help="power of a busy CPU in the model, for where nothing measures; 0: no model (%(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--model-idle-w", type=float, default=IDLE_W, metavar="W", help="of an idle one (%(default)g)"
    )


def meter_settings(options: argparse.Namespace) -> MeterSettings:
    """Return what those options say.

    Raises:
        ConfigurationError: If it does not fit.
    """
    values = {
        "without": options.without,
        "sensors": options.sensor,
        "model_busy_w": options.model_w,
        "model_idle_w": options.model_idle_w,
    }
    return build(MeterSettings, values)
