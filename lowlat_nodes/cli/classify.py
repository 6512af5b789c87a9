# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat classify`: classifies alerts or light curves in tables, and draws them."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.alerts import light_curve_table
from lowlat_nodes.alerts.container import split
from lowlat_nodes.alerts.expression import condition
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.loading import SHIPPED
from lowlat_nodes.alerts.result import ABSTAINED, CHOICES, FIELDS, results
from lowlat_nodes.cli.alert_stream import PacketFolder, drain
from lowlat_nodes.cli.arguments import assignment, positive, whole
from lowlat_nodes.cli.light_curve_plots import LightCurvePlots
from lowlat_nodes.cli.node_parameters import read_parameters
from lowlat_nodes.nodes.alert.service import alert_registry, alert_source, load_alert_classifier
from lowlat_nodes.nodes.alert.settings import AlertSettings
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.endpoint import PullSource
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record
from lowlat_nodes.transport import records
from lowlat_nodes.transport.packet_files import PacketFiles
from lowlat_nodes.transport.parquet.file import ParquetFile

EXIT_INCOMPLETE = 1

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
    settings = _settings(options)
    processor = load_alert_classifier(settings)
    classifier = processor.classifier
    source = _source(settings, options)
    folder = None if options.save is None else PacketFolder(options.save, alert_registry(settings))
    plots = None if options.plot is None else LightCurvePlots(options.plot)
    refused: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    if not options.json:
        print(_row("object", "best", "", "p", "detections", "days", "band", "magnitude"))
    with contextlib.ExitStack() as stack:
        out = None if options.out is None else stack.enter_context(ParquetFile(options.out, FIELDS))
        batches = [_tables(options.path)]
        if source is not None:
            batches.append(_alerts(source, options, processor.ingest, folder, refused))
        for batch in chain.from_iterable(batches):
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


def _settings(options: argparse.Namespace) -> AlertSettings:
    """Return the parameters of a node; what the command line says counts first."""
    parameters = read_parameters("alert", options.source, options.node, options.parameter)
    if options.model is not None:
        parameters["model"] = options.model
    if options.schemas is not None:
        parameters["schemas.folder"] = str(options.schemas)
    return build(AlertSettings, parameters)


def _source(settings: AlertSettings, options: argparse.Namespace) -> PullSource | None:
    """Return where packets come from, None where all that is given are tables."""
    if options.source:
        return alert_source(settings, SystemClock())
    files = [str(path) for path in options.path if path.suffix not in light_curve_table.SUFFIXES]
    return PacketFiles(files, SystemClock(), split=split) if files else None


def _tables(paths: Sequence[Path]) -> Iterator[_Batch]:
    for path in paths:
        if path.suffix in light_curve_table.SUFFIXES:
            curves = light_curve_table.read_table(path).light_curves
            yield _Batch(curves, ["table"] * len(curves), [light_curve_table.VERSION] * len(curves))


def _alerts(
    source: PullSource,
    options: argparse.Namespace,
    ingest: Ingest,
    folder: PacketFolder | None,
    refused: Counter[str],
) -> Iterator[_Batch]:
    """Yield the alerts that come, keep their packets, and count by reason what cannot be read."""
    came = 0
    with contextlib.closing(source):
        most, wait_s = (options.count, options.wait) if options.source else (sys.maxsize, math.inf)
        for packets in drain(source, most, wait_s):
            came += len(packets)
            if folder is not None:
                for packet in packets:
                    folder.add(packet)
            read = ingest.read(packets)
            refused.update(f"{packets[index].origin}: {reason}" for index, reason in read.refused.items())
            yield _Batch(read.light_curves, read.surveys, read.schema_versions)
        if source.drops.total:
            refused[source.last_failure] += source.drops.total
        elif not came:
            refused[f"nothing came for {options.wait:g} s. {source.last_failure}"] += 1


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
        description="Classify recorded alerts (.avro), light curves in tables (.csv or .parquet with the "
        "columns id, mjd, band, flux in nJy or mag, error), or some alerts of a live stream.",
    )
    parser.add_argument("path", nargs="*", type=Path, metavar="PATH", help="files, folders, patterns")
    parser.add_argument("--model", help=f"{', '.join(SHIPPED)}, or an .onnx file (tokens, which ships)")
    parser.add_argument(
        "--schemas", type=Path, metavar="FOLDER",
        help="Avro schemas, for packets that only name theirs, as Rubin's: 900.avsc, or with the version in "
        "the name",
    )  # fmt: skip
    parser.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter of the alert node, such as threshold:=0.5",
    )  # fmt: skip
    live = parser.add_argument_group("a live stream")
    live.add_argument(
        "--source",
        type=Path,
        metavar="PARAMETERS",
        help="parameter file of an alert node that names a source",
    )
    live.add_argument("--node", metavar="NAME", help="whose parameters (alert_node)")
    live.add_argument("--count", type=whole, default=100, metavar="N", help="how many alerts (100)")
    live.add_argument(
        "--wait", type=positive, default=30.0, metavar="S", help="longest wait for the next alert (30)"
    )
    out = parser.add_argument_group("results")
    out.add_argument(
        "--keep", metavar="EXPRESSION",
        help='which results to keep, such as \'p["SN Ia"] > 0.8 and detections >= 4\'',
    )  # fmt: skip
    out.add_argument("--json", action="store_true", help="print a JSON object for each result, one a line")
    out.add_argument("--out", type=Path, metavar="FILE.parquet", help="write the results there, too")
    out.add_argument(
        "--plot", type=Path, metavar="FILE.png|FOLDER",
        help="draw the first light curves into one picture (.png, .svg, .pdf), or each into one in a folder",
    )  # fmt: skip
    out.add_argument(
        "--save", type=Path, metavar="FOLDER", help="keep the packets as files, for lowlat replay"
    )
    options = parser.parse_args(argv)
    if bool(options.path) == bool(options.source):
        parser.error("expected files and folders, or --source")
    return options
