# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat profile`: what an inference costs to launch, and whether the CPU or the GPU bounds it."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.arguments import assignment, whole
from lowlat_nodes.cli.profile_subject import Subject, Way, alerts_subject, detector_subject, policy_subject
from lowlat_nodes.cli.profile_table import as_text
from lowlat_nodes.inference.launches.figures import Figures, figures
from lowlat_nodes.inference.launches.operators import OperatorFigures, operator_figures
from lowlat_nodes.inference.launches.record import Plan, record_with_onnxruntime, record_with_torch
from lowlat_nodes.inference.launches.trace import Trace, read_trace
from lowlat_nodes.inference.launches.verdict import Verdict, verdict
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.nodes import parameter_file
from lowlat_nodes.stream.errors import ConfigurationError

_SWEEP = (1, 2, 4, 8, 16, 32)


def main(argv: Sequence[str]) -> int:
    """Profile a model, or read a trace, and print the figures and the verdict.

    Returns:
        0; whatever is wrong with the model, the trace or the options is raised.
    """
    options = _parse(argv)
    _check(options)
    if options.trace is not None:
        name, trace = options.trace.name, read_trace(options.trace)
    else:
        name, trace = _record(options)
    launches = figures(trace, options.top)
    operators = operator_figures(trace, options.top)
    judged = verdict(launches, lost=trace.lost)
    if options.json:
        print(json.dumps(_plain(name, trace, launches, operators, judged)))
    else:
        print(as_text(name, trace, launches, operators, judged))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what would otherwise be found out late, or have no effect."""
    given = {"-p": options.parameter, "--batch": options.batch, "--out": options.out}
    without = [name for name, value in given.items() if value] if options.trace is not None else []
    if without:
        raise ConfigurationError(f"{', '.join(without)}: expected a model; of a trace nothing can be chosen")
    if options.parameter and options.policy is None:
        raise ConfigurationError("-p: expected with --policy; the others have no parameters here")
    if options.out is not None and not options.out.resolve().parent.is_dir():
        raise ConfigurationError(f"--out: expected a file in a folder that there is, got {options.out}")


def _record(options: argparse.Namespace) -> tuple[str, Trace]:
    """Run what is asked for, and return its name and the trace."""
    with tempfile.TemporaryDirectory(prefix="lowlat_profile_") as folder:
        subject = _subject(options, Way(options.device, options.threads))
        batches = _batches(options.batch, subject)
        path = options.out or Path(folder) / "trace.json"
        if options.device == "cpu" and isinstance(subject.model, OnnxModel):
            own = _subject(options, Way(options.device, options.threads, Path(folder) / "onnxruntime"))
            assert isinstance(own.model, OnnxModel)
            plan = Plan(own.infer, batches, options.inferences, unprofiled=subject.infer)
            record_with_onnxruntime(plan, own.model, path)
        else:
            plan = Plan(subject.infer, batches, options.inferences)
            record_with_torch(plan, path, cuda=options.device == "cuda")
        return f"{subject.name} on {options.device}", read_trace(path)


def _subject(options: argparse.Namespace, way: Way) -> Subject:
    if options.policy is not None:
        parameters = {name: parameter_file.value(text) for name, text in options.parameter}
        return policy_subject(options.policy, parameters, way)
    if options.detector is not None:
        return detector_subject(options.detector, way)
    return alerts_subject(options.alerts, way)


def _batches(wanted: Sequence[int] | None, subject: Subject) -> Sequence[int]:
    if not wanted:
        return _SWEEP if subject.batched else (1,)
    if max(wanted) > 1 and not subject.batched:
        raise ConfigurationError(
            f"--batch: {subject.name} takes 1 at a time, got {max(wanted)}; export it with an open batch"
        )
    return sorted(set(wanted))


def _plain(
    name: str,
    trace: Trace,
    launches: Sequence[Figures],
    operators: Sequence[OperatorFigures],
    judged: Verdict,
) -> dict[str, Any]:
    return {
        "name": name,
        "verdict": asdict(judged),
        "launches": [
            _known({**asdict(each), "launch_us": each.launch_us, "idle_us": each.idle_us})
            for each in launches
            if each.launches
        ],
        "operators": [_known(asdict(each)) for each in operators],
        "trace": {
            name: getattr(trace, name)
            for name in ("lost", "orphans", "ambiguous", "malformed", "unknown", "complete")
        },
    }


def _known(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures with None for NaN, which JSON has not."""
    return {name: None if value != value else value for name, value in figures.items()}  # noqa: PLR0124


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat profile",
        description=__doc__,
        epilog="Figures are those of SKIP (arXiv 2504.11750), explained in docs/profile.md. Without a GPU "
        "nothing is launched; then it shows which operators take the time.",
    )
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument(
        "--policy", metavar="MODEL", help="a policy: .onnx, .pt or the name of one that ships"
    )
    subject.add_argument(
        "--detector", metavar="MODEL", help="a detector: .onnx, .pt or the name of one that ships"
    )
    subject.add_argument(
        "--alerts",
        nargs="?",
        const="tokens",
        metavar="MODEL",
        help="a classifier of alerts: tokens, t2 or .onnx",
    )
    subject.add_argument(
        "--trace", type=Path, metavar="FILE", help="no model: a trace of torch.profiler, .json or .json.gz"
    )
    parser.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter of the policy, such as steps:=5",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where it runs (default: cpu)"
    )
    parser.add_argument(
        "--batch",
        type=whole,
        nargs="+",
        metavar="N",
        help="batch sizes (default: 1 to 32, or what it can take)",
    )
    parser.add_argument(
        "--inferences", type=whole, default=20, metavar="N", help="of each batch size (default: 20)"
    )
    parser.add_argument("--threads", type=whole, default=1, metavar="N", help="of an operator (default: 1)")
    parser.add_argument(
        "--top", type=whole, default=5, metavar="N", help="kernels or operators named (default: 5)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the trace, for --trace and for Perfetto"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser.parse_args(argv)
