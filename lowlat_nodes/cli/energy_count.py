# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energy count`: counts what ONNX models compute and move, and estimates the energy of that."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.cli.arguments import whole
from lowlat_nodes.energy import operations
from lowlat_nodes.energy.operation_costs import TABLES, OperationCosts
from lowlat_nodes.energy.operations import Count, Estimate, Spiking
from lowlat_nodes.stream.errors import ConfigurationError

_NOTE = (
    "modelled: an estimate of arithmetic and data movement from published costs of single operations; "
    "no measurement, and no meter confirms it"
)
_MAX_DIM = 1 << 31


@dataclass(frozen=True)
class _Part:
    """One model, the share of inferences that run it, and what came out."""

    path: Path
    share: float
    count: Count
    estimate: Estimate
    spiking: Spiking | None


def main(argv: Sequence[str]) -> int:
    """Run `lowlat energy count`.

    Args:
        argv: The arguments after `count`.

    Returns:
        0. What is wrong with models or shapes is raised.
    """
    options = _parser().parse_args(argv)
    if (options.spike_rate is None) != (options.steps is None):
        raise ConfigurationError("--spike-rate and --steps belong together; give both")
    costs = TABLES[options.table]
    shapes = dict(options.shape)
    stages = [_part(text, shapes, costs, options) for text in options.model]
    rival = None if options.against is None else _part(options.against, shapes, costs, options)
    known = {name for part in (*stages, *([rival] if rival else [])) for name in part.count.inputs}
    if shapes.keys() - known:
        raise ConfigurationError(
            f"--shape {', '.join(sorted(shapes.keys() - known))}: expected an input of "
            f"{', '.join(sorted(known))}"
        )
    result = _result(stages, rival, costs)
    print(json.dumps(result) if options.json else _text(result, stages, rival, options.layers))
    return 0


def _part(
    text: str, shapes: Mapping[str, tuple[int, ...]], costs: OperationCosts, options: argparse.Namespace
) -> _Part:
    name, at, share_text = text.rpartition("@")
    share = _share(share_text) if at else 1.0
    path = resources.model(name if at else text)
    counted = operations.count(path, shapes)
    spiking = None
    if options.spike_rate is not None:
        spiking = operations.spiking(counted, costs, options.spike_rate, options.steps)
    return _Part(path, share, counted, operations.estimate(counted, costs), spiking)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigurationError(
            f"expected MODEL@SHARE with a share of inputs from 0 to 1, got {text!r} after the @; "
            "a file with an @ in its name needs @1 after it"
        )
    return share


def _result(stages: Sequence[_Part], rival: _Part | None, costs: OperationCosts) -> dict[str, Any]:
    result: dict[str, Any] = {
        "kind": "modelled",
        "note": _NOTE,
        "table": costs.name,
        "source": costs.source,
        "models": [_figures(part) for part in stages],
        "total": _joules(stages),
    }
    if rival is not None:
        result["against"] = _figures(rival)
        whole_j, other_j = result["total"], _joules([rival])
        result["ratio"] = {
            name: value / other_j[name] if value is not None and other_j[name] else None
            for name, value in whole_j.items()
        }
    return result


def _joules(parts: Sequence[_Part]) -> dict[str, float | None]:
    """Return the energy of an input that goes through each part by its share."""
    sums: dict[str, float | None] = {}
    for name in ("arithmetic_j", "sram_j", "dram_j"):
        values = [getattr(part.estimate, name) for part in parts]
        shares = [part.share for part in parts]
        known = all(value is not None for value in values)
        sums[name] = (
            sum(value * share for value, share in zip(values, shares, strict=True)) if known else None
        )
    return sums


def _figures(part: _Part) -> dict[str, Any]:
    counted, estimate = part.count, part.estimate
    return {
        "model": part.path.name,
        "share": part.share,
        "inputs": {name: list(shape) for name, shape in counted.inputs.items()},
        "assumed_1": list(counted.assumed),
        **{what: counted.total(what) for what in ("macs", "adds", "multiplies", "others")},
        "weight_bytes": counted.weight_bytes,
        "activation_bytes": counted.activation_bytes,
        "arithmetic_j": estimate.arithmetic_j,
        "sram_j": estimate.sram_j,
        "dram_j": estimate.dram_j,
        "unpriced": dict(estimate.unpriced),
        "uncounted": {op: {"nodes": times, "why": why} for op, (times, why) in counted.uncounted.items()},
        "spiking": None
        if part.spiking is None
        else {**asdict(part.spiking), "kind": part.spiking.kind.value},
    }


def _text(result: Mapping[str, Any], stages: Sequence[_Part], rival: _Part | None, layers: int) -> str:
    lines = [_NOTE, f"costs: {result['table']}, {result['source']}"]
    for part in stages:
        lines += ["", *_lines(part, layers)]
    if len(stages) > 1 or stages[0].share != 1.0:
        lines += ["", "an input that goes through all of them by their shares:", *_energies(result["total"])]
    if rival is not None:
        lines += ["", "against:", *_lines(rival, layers), "", "ratio of the two:"]
        lines += [
            f"  {_LABELS[name]:<36} {'no figure' if value is None else f'{value:.3f}'}"
            for name, value in result["ratio"].items()
        ]
    return "\n".join(lines)


_LABELS = {
    "arithmetic_j": "arithmetic",
    "sram_j": "moving each byte once, on the chip",
    "dram_j": "moving each byte once, through DRAM",
}


def _lines(part: _Part, layers: int) -> list[str]:
    counted = part.count
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in counted.inputs.items())
    share = "" if part.share == 1.0 else f", for {part.share:.1%} of the inputs"
    lines = [f"{part.path.name}: {shapes}{share}"]
    if counted.assumed:
        lines.append(f"  taken as 1, for want of --shape: {', '.join(counted.assumed)}")
    for what, label in (
        ("macs", "multiply-accumulates"),
        ("adds", "additions, comparisons"),
        ("multiplies", "multiplications"),
        ("others", "other functions"),
    ):
        figures = ", ".join(f"{_short(times)} {number}" for number, times in counted.total(what).items())
        lines.append(f"  {label:<36} {figures or 'none'}")
    lines.append(f"  {'bytes of weights, read once':<36} {_short(counted.weight_bytes)}")
    lines.append(f"  {'bytes of activations':<36} {_short(counted.activation_bytes)}")
    estimate = part.estimate
    lines += _energies({name: getattr(estimate, name) for name in _LABELS})
    for name, times in estimate.unpriced.items():
        lines.append(f"  not in the joules, for want of a cost: {_short(times)} {name}")
    for op, (times, why) in counted.uncounted.items():
        lines.append(f"  not counted: {times} {op} ({why})")
    if part.spiking is not None:
        lines += _spiking_lines(part.spiking)
    heaviest = sorted(counted.layers, key=lambda layer: layer.work.macs, reverse=True)[:layers]
    lines += [
        f"  {_short(layer.work.macs):>9} MACs {layer.number:<8} {layer.op:<14} {layer.name}"
        for layer in heaviest
        if layer.work.macs
    ]
    return lines


def _spiking_lines(spiking: Spiking) -> list[str]:
    counts = f"{_short(spiking.macs)} MACs and {_short(spiking.accumulates)} accumulates"
    return [
        f"  with spikes, {spiking.rate:g} a neuron and step, {spiking.steps} steps (arithmetic, in float32):",
        f"    {counts}: {_joule(spiking.joules)}",
        f"    without spikes {_short(spiking.dense_macs)} MACs: {_joule(spiking.dense_joules)}",
    ]


def _energies(joules: Mapping[str, float | None]) -> list[str]:
    return [
        f"  {_LABELS[name]:<36} {'no cost in this table' if value is None else _joule(value)}"
        for name, value in joules.items()
    ]


def _joule(value: float) -> str:
    return next(
        (f"{value * scale:.3g} {unit}" for scale, unit in ((1, "J"), (1e3, "mJ")) if value * scale >= 1.0),
        f"{value * 1e6:.3g} µJ",
    )


def _short(count: int) -> str:
    scales = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    return next((f"{count / scale:.2f} {unit}" for scale, unit in scales if count >= scale), str(count))


def _named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.rpartition("=")
    parts = [part.strip() for part in sizes.split(",")]
    if not equals or not name or not all(part.isdecimal() and 0 < int(part) < _MAX_DIM for part in parts):
        raise argparse.ArgumentTypeError(f"expected NAME=1,3,640,640, got {text!r}")
    return name, tuple(map(int, parts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lowlat energy count", description=__doc__)
    parser.add_argument(
        "model",
        nargs="+",
        help="an .onnx file or the name of a model that ships; more than one are stages of one inference, "
        "and MODEL@0.3 is a stage that 30 %% of the inputs reach, as behind an early exit",
    )
    parser.add_argument(
        "--shape",
        action="append",
        type=_named_shape,
        default=[],
        metavar="NAME=1,3,640,640",
        help="shape of an input, for free dimensions; may be repeated. What is not given is taken as 1",
    )
    parser.add_argument("--table", choices=list(TABLES), default="45nm", help="whose costs of an operation")
    parser.add_argument("--against", metavar="MODEL", help="compare with another model")
    parser.add_argument("--spike-rate", type=float, metavar="R", help="spikes of a neuron in a time step")
    parser.add_argument("--steps", type=whole, metavar="T", help="time steps of a spiking network")
    parser.add_argument("--layers", type=whole, default=0, metavar="N", help="list the N heaviest layers")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
