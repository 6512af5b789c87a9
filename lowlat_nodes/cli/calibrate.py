# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat calibrate`: how fast this machine runs a detector, by library, threads and precision."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowlat_nodes import resources
from lowlat_nodes.cli.arguments import assignment
from lowlat_nodes.nodes import parameter_file
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.config import DetectorConfig
from lowlat_nodes.vision.loading import load_detector


def main(argv: Sequence[str]) -> int:
    """Time the ways to run a detector and print them, the best one marked.

    Returns:
        0; whatever is wrong with the model or the parameters is raised.
    """
    options = _parse(argv)
    given = {name: parameter_file.value(text) for name, text in options.parameter}
    config = build(DetectorConfig, {"backend.calibration.cache": False, **given, "model": options.model})
    # Whoever asks wants to know how it is now.
    _, loaded = load_detector(resources.model(config.model), config.layout, config.backend, anew=True)
    if loaded.calibration is None:
        raise ConfigurationError(
            "the parameters leave one way to run the model, so there is nothing to time; expected at least "
            "one of backend.kind auto, backend.threads 0, backend.precision auto"
        )
    print(loaded.calibration.as_json() if options.json else loaded.calibration.as_text())
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat calibrate",
        description=__doc__,
        epilog="The parameters are those of a detector node; the result is kept for it with "
        "-p backend.calibration.cache:=true.",
    )
    parser.add_argument("model", help="an .onnx, .xml or .pt file, or the name of a model that ships")
    parser.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter, such as backend.precision:=auto",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser.parse_args(argv)
