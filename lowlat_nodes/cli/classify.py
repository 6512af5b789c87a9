# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat classify`: classifies recorded alerts, or light curves in tables, without a node."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.alerts import light_curve_table
from lowlat_nodes.alerts.expression import condition
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.loading import SHIPPED, load_classifier
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.result import ABSTAINED, CHOICES, FIELDS, results
from lowlat_nodes.cli import alert_files
from lowlat_nodes.cli.light_curve_plots import LightCurvePlots
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet, Record
from lowlat_nodes.transport import records
from lowlat_nodes.transport.parquet.file import ParquetFile

EXIT_INCOMPLETE = 1

_BATCH = 256
_SUFFIXES = (*alert_files.SUFFIXES, *light_curve_table.SUFFIXES)
_MOST_REASONS = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Light curves from one file, and whose they are."""

    light_curves: LightCurves
    surveys: Sequence[str]
    schema_versions: Sequence[str]


def main(argv: Sequence[str]) -> int:
    """Classify alerts.

    Returns:
        0; 1 if something could not be read. What is wrong with models, expressions and tables is raised.
    """
    options = _parse(argv)
    keep = condition(options.keep, FIELDS, CHOICES) if options.keep else None
    files = alert_files.alert_files(options.path, _SUFFIXES)
    ingest = Ingest(None if options.schemas is None else SchemaRegistry(options.schemas))
    classifier = load_classifier(options.model)
    plots = None if options.plot is None else LightCurvePlots(options.plot)
    refused: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    if not options.json:
        print(_row("object", "best", "", "p", "detections", "days", "band", "magnitude"))
    with contextlib.ExitStack() as stack:
        out = None if options.out is None else stack.enter_context(ParquetFile(options.out, FIELDS))
        for batch in _batches(files, ingest, refused):
            probabilities = classifier.classify(batch.light_curves)
            now_ns = [time.time_ns()] * len(batch.light_curves)
            found = results(batch, probabilities, classifier, now_ns)
            kept = [index for index, record in enumerate(found) if keep is None or keep(record.fields)]
            chosen = [found[index] for index in kept]
            classes.update(record.fields["best"] for record in chosen)
            for record in chosen:
                print(records.encode(record).decode() if options.json else _as_row(record))
            if out is not None:
                out.write(Message("results", record) for record in chosen)
            if plots is not None and kept:
                plots.add(batch.light_curves.take(np.array(kept)), chosen)
    if plots is not None:
        plots.close()
    _summarise(classes, refused)
    return EXIT_INCOMPLETE if refused else 0


def _batches(files: Sequence[Path], ingest: Ingest, refused: Counter[str]) -> Iterator[_Batch]:
    """Yield what is in the files; count by reason what cannot be read."""
    for file in files:
        if file.suffix in light_curve_table.SUFFIXES:
            curves = light_curve_table.read_table(file).light_curves
            count = len(curves)
            yield _Batch(curves, ["table"] * count, [light_curve_table.VERSION] * count)
            continue
        packets = alert_files.packets(file)
        while some := list(islice(packets, _BATCH)):
            refused.update(f"{file}: {reason}" for reason in some if isinstance(reason, str))
            read = ingest.read([packet for packet in some if isinstance(packet, Packet)])
            refused.update(f"{file}: {reason}" for reason in read.refused.values())
            yield _Batch(read.light_curves, read.surveys, read.schema_versions)


def _as_row(record: Record) -> str:
    fields = record.fields
    best, shares = fields["best"], fields["p"]
    likeliest = max(shares, key=lambda name: shares[name] or 0.0)
    return _row(
        fields["object_id"],
        best,
        f"({likeliest})" if best == ABSTAINED else "",
        _number(shares[likeliest], 2),
        str(fields["detections"]),
        _number(fields["days"], 1),
        fields["band"] or "",
        _number(fields["magnitude"], 2),
    )


def _row(name: str, best: str, perhaps: str, share: str, *others: str) -> str:
    detections, days, band, magnitude = others
    return (
        f"{name:<20} {f'{best} {perhaps}'.strip():<32} {share:>4} {detections:>10} {days:>7} {band:>7} "
        f"{magnitude:>9}"
    )


def _number(value: Any, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _summarise(classes: Counter[str], refused: Counter[str]) -> None:
    by_class = ", ".join(f"{count} {name}" for name, count in classes.most_common())
    print(f"{classes.total()} light curves{': ' if by_class else ''}{by_class}", file=sys.stderr)
    for reason, count in refused.most_common(_MOST_REASONS):
        print(f"{count} not read: {reason}", file=sys.stderr)
    if len(refused) > _MOST_REASONS:
        print(f"{len(refused) - _MOST_REASONS} more reasons", file=sys.stderr)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat classify",
        description="Classify recorded alerts (.avro), or light curves in tables (.csv or .parquet with the "
        "columns id, mjd, band, flux in nJy or mag, error).",
    )
    parser.add_argument("path", nargs="+", type=Path, metavar="PATH", help="files and folders")
    parser.add_argument(
        "--model", default="tokens", help=f"{', '.join(SHIPPED)}, or an .onnx file (tokens, which ships)"
    )
    parser.add_argument(
        "--schemas", type=Path, metavar="FOLDER",
        help="Avro schemas, for packets that only name theirs, as Rubin's: 900.avsc, or with the version in "
        "the name",
    )  # fmt: skip
    parser.add_argument(
        "--keep", metavar="EXPRESSION",
        help='which results to keep, such as \'p["SN Ia"] > 0.8 and detections >= 4\'',
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object for each result, one a line")
    parser.add_argument("--out", type=Path, metavar="FILE.parquet", help="write the results there, too")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png|FOLDER",
        help="draw the first light curves into one picture (.png, .svg, .pdf), or each into one in a folder",
    )  # fmt: skip
    return parser.parse_args(argv)
