# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated night as one file, for whoever replays alerts without the libraries that simulate a sky."""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from lowlat_nodes.sim.alert_packets import ZTF_SCHEMA
from lowlat_nodes.sim.alert_source import simulated_alerts
from lowlat_nodes.stream.errors import MissingExtra

_CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")


def write_night(path: Path, alerts: int, seed: int) -> None:
    """Write the first alerts of a simulated sky of ZTF into one Avro container, without their cutouts.

    The same number and seed give the same file, byte for byte, with the same versions of the libraries.

    Args:
        path: The file; one that is there is overwritten.
        alerts: How many, each of another object, which is named by what it truly is: `TDE 17`.
        seed: Of the sky.

    Raises:
        MissingExtra: If the library of supernovae or that of Avro is not installed.
    """
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtra("fastavro", "alerts") from error
    records: list[dict[str, Any]] = []
    for packet in itertools.islice(simulated_alerts(seed), alerts):
        [record] = fastavro.reader(io.BytesIO(packet.data))
        records.append({**cast("dict[str, Any]", record), **dict.fromkeys(_CUTOUTS)})
    schema = fastavro.parse_schema(json.loads(ZTF_SCHEMA))
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, codec="deflate", sync_marker=seed.to_bytes(16, "big"))


def main(argv: Sequence[str] | None = None) -> int:
    """Write a night."""
    parser = argparse.ArgumentParser(prog="python -m lowlat_nodes.sim.night", description=__doc__)
    parser.add_argument("path", type=Path, help="file to write, such as recordings/ztf_night.avro")
    parser.add_argument("--alerts", type=int, default=600, help="how many (600)")
    parser.add_argument("--seed", type=int, default=9, help="of the sky (9)")
    options = parser.parse_args(argv)
    write_night(options.path, options.alerts, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
