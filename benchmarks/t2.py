# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""t2 and its compression: bytes, load times, latency and log-loss of each rung, and what interpolation costs.

The rungs are made here from the model that ships: those that are clustered or pruned are trained on for some
seconds, and one is trained on for as long without either, for what training on does by itself. All log-losses
are of simulated light curves that no training has seen. Times are those of the one thread that computes, by
its own clock, so that whatever else the machine does counts little.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.t2_classifier import SHIPPED
from lowlat_nodes.alerts.t2_inputs import around_detections, t2_inputs
from lowlat_nodes.benchmarks import _alerts_t2_chain as chain
from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.benchmarks._t2_files import load_ms, session, write_forms

Inputs = dict[str, NDArray[np.float32]]

TRAINED_ON_SEED = 1  # other objects than those of the model's training
_TRAINED_ON = 4  # times as many objects as are judged by
_BATCH = 4  # as the classifier has it


def make(model: Path, folder: Path, objects: int, seconds: float) -> dict[str, dict[str, Path]]:
    """Write all rungs in all formats; return the paths by rung and format."""
    from lowlat_nodes.sim.sky.population import generate
    from lowlat_nodes.train.t2.examples import Examples
    from lowlat_nodes.train.t2.graph import read_onnx, write_onnx
    from lowlat_nodes.train.t2.ladder import LADDER, compress, quantise

    net = read_onnx(model)
    curves, labels, _ = generate(_TRAINED_ON * objects, TRAINED_ON_SEED)
    examples = Examples.of(curves, labels)
    made = {}
    for name, rung in LADDER.items():
        weights = compress(net, rung, examples, seconds).network.state_dict()
        path = folder / f"{name}.onnx"
        write_onnx(weights, path, net.network.config)
        if rung.int8:
            full = path.rename(folder / "full.onnx")
            quantise(full, path)
        made[name] = write_forms(path, weights, int8=rung.int8)
    return made


def judge(path: Path, inputs: Inputs, labels: NDArray[np.int64]) -> dict[str, float]:
    """Return how well a model does."""
    from lowlat_nodes.train.alerts import metrics

    running = session(path)
    found = np.concatenate([_run(running, feed) for feed in _feeds(inputs, _BATCH)])
    return {
        "sim_log_loss": round(metrics.log_loss(labels, found), 4),
        "sim_macro_f1": round(metrics.macro_f1(labels, found), 4),
    }


def latencies(
    paths: dict[str, Path], inputs: Inputs, rounds: int, *, flush: bool = False
) -> dict[str, dict[str, float]]:
    """Return the time for an alert alone, median and p90, and within a batch, median, in us.

    The models take turns, each round with other alerts. With `flush`, numbers too small for their exponent
    count as 0, in this process for good.
    """
    running = {name: session(path, flush=flush) for name, path in paths.items()}
    feeds = {size: list(itertools.islice(_feeds(inputs, size), rounds)) for size in (1, _BATCH)}
    times = {name: {size: np.empty(rounds) for size in feeds} for name in paths}
    for number in range(rounds):
        for name, model in running.items():
            for size, several in feeds.items():
                feed = several[number % len(several)]
                start = time.thread_time()
                _run(model, feed)
                times[name][size][number] = 1e6 * (time.thread_time() - start) / size
    return {
        name: {
            "single": round(float(np.median(found[1])), 1),
            "single_p90": round(float(np.percentile(found[1], 90)), 1),
            "batched": round(float(np.median(found[_BATCH])), 1),
        }
        for name, found in times.items()
    }


def interpolation(curves: LightCurves, count: int) -> dict[str, float]:
    """Return the mean time to interpolate a light curve, in us: george as t2 uses it, and ours."""
    singles = [curves.take(np.array([number])) for number in range(count)]

    def mean_us(work: Callable[[], object]) -> float:
        start = time.thread_time()
        work()
        return round(1e6 * (time.thread_time() - start) / count, 1)

    some = curves.take(np.arange(count))
    figures = {"epochs": float(np.diff(some.offsets).mean())}
    for name, fitted in (("fitted", True), ("fixed", False)):
        t2_inputs(singles[0], fitted=fitted)
        figures[f"{name}_single"] = mean_us(
            lambda fitted=fitted: [t2_inputs(one, fitted=fitted) for one in singles]
        )
        figures[f"{name}_batched"] = mean_us(lambda fitted=fitted: t2_inputs(some, fitted=fitted))
    figures["george_fitted_single"] = mean_us(lambda: [_george(one) for one in singles])
    return figures


def _george(curve: LightCurves) -> object:
    from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM

    wavelength_a = 1e4 * WAVELENGTHS_UM[curve.band]
    return chain.interpolate(curve.mjd - curve.mjd[0], wavelength_a, curve.flux_njy, curve.error_njy)


def _feeds(inputs: Inputs, size: int) -> Iterator[Inputs]:
    count = len(inputs["span_days"])
    for start in range(0, count, size):
        yield {name: values[start : start + size] for name, values in inputs.items()}


def _run(model: Any, feed: Inputs) -> NDArray[np.float32]:
    found: NDArray[np.float32] = model.run(["probabilities"], feed)[0]
    return found


def run(model: Path, *, objects: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Climb the ladder; see `main` for the arguments."""
    import torch

    from lowlat_nodes.sim.sky.population import generate
    from lowlat_nodes.train.alerts.sky import TEST_SEED
    from lowlat_nodes.train.t2.graph import read_onnx

    torch.set_num_threads(1)
    net = read_onnx(model)
    test, labels, _ = generate(objects, TEST_SEED)
    inputs = t2_inputs(around_detections(test))
    ztf = around_detections(generate(min(objects, 300), TEST_SEED, survey_shares={"ztf": 1.0})[0])
    gp_us = interpolation(ztf, len(ztf))
    with tempfile.TemporaryDirectory() as folder:
        made = make(model, Path(folder), objects, seconds)
        onnx, ort = ({name: forms[form] for name, forms in made.items()} for form in ("onnx", "ort"))
        with Metered() as energy:
            onnx_us = latencies(onnx, inputs, rounds)
        ort_us = latencies(ort, inputs, rounds)
        # ONNX Runtime heeds this in the first session of a process only.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            flushed_us = process.submit(latencies, onnx, inputs, rounds, flush=True).result()
        rungs = {
            name: {
                **judge(forms["onnx"], inputs, labels),
                "bytes": {form: path.stat().st_size for form, path in forms.items()},
                "load_ms": load_ms(forms, net.network.config, max(3, rounds // 10)),
                "network_us": onnx_us[name],
                "network_ort_us": ort_us[name],
                "network_flushed_us": flushed_us[name],
                "with_gp_us": {
                    kind: round(gp_us[f"fitted_{kind}"] + onnx_us[name][kind], 1)
                    for kind in ("single", "batched")
                },
                "with_george_us": round(gp_us["george_fitted_single"] + onnx_us[name]["single"], 1),
            }
            for name, forms in made.items()
        }
    first, last = rungs["fp32"], rungs["last_clustered_int8"]
    return {
        "size_ratio": {
            "onnx": round(first["bytes"]["onnx"] / last["bytes"]["onnx"], 2),
            "onnx_zip": round(first["bytes"]["onnx_zip"] / last["bytes"]["onnx_zip"], 2),
            "any_format": round(
                first["bytes"]["onnx"] / min(min(rung["bytes"].values()) for rung in rungs.values()), 2
            ),
        },
        "network_speedup_of_compression": round(
            first["network_us"]["single"] / last["network_us"]["single"], 2
        ),
        "speedup_of_compression_with_george": round(first["with_george_us"] / last["with_george_us"], 3),
        "gp_speedup_vs_george": {
            name: round(gp_us["george_fitted_single"] / gp_us[name], 1) for name in gp_us if name[0] == "f"
        },
        "gp_us": gp_us,
        "rungs": rungs,
        "energy": {
            name: energy.plain("alert", rounds, 1e-6 * rounds * took["single"])
            for name, took in onnx_us.items()
        },
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "objects": objects,
        "seconds": seconds,
        "model": model.name,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__},
    }


def table(figures: dict[str, Any]) -> str:
    """Return the rungs as a table in Markdown."""
    head = (
        "| rung | onnx, B | zip | ort | safetensors | zip | load onnx, ort, safetensors, ms | alone, us "
        "| flushed, us | batched, us | with GP, alone, batched, us | sim. log-loss | sim. macro-F1 |"
    )
    lines = [head, "|---" * 13 + "|"]
    for name, rung in figures["rungs"].items():
        held, load, alone, flushed = (
            rung[key] for key in ("bytes", "load_ms", "network_us", "network_flushed_us")
        )
        cells = [
            f"`{name}`",
            *(f"{held[form]:,}" for form in ("onnx", "onnx_zip", "ort", "safetensors", "safetensors_zip")),
            ", ".join(f"{load[form]:.1f}" for form in ("onnx", "ort", "safetensors")),
            f"{alone['single']:.0f} ({alone['single_p90']:.0f})",
            f"{flushed['single']:.0f} ({flushed['single_p90']:.0f})",
            f"{alone['batched']:.0f}",
            f"{rung['with_gp_us']['single']:.0f}, {rung['with_gp_us']['batched']:.0f}",
            f"{rung['sim_log_loss']:.3f}",
            f"{rung['sim_macro_f1']:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench t2", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument(
        "--model", default=SHIPPED, help="a file of lowlat train t2 (default: the shipped one)"
    )
    parser.add_argument(
        "--objects", type=int, default=3000, help="to judge by, and to train on with (default: 3000)"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="to train a rung on for (default: 20)")
    parser.add_argument("--rounds", type=int, default=200, help="timed runs of each model (default: 200)")
    options = parser.parse_args(argv)
    if options.objects < 100 or options.seconds <= 0.0 or options.rounds < 5:
        parser.error(
            "expected --objects of at least 100, --seconds above 0 and --rounds of at least 5, got "
            f"{options.objects}, {options.seconds:g} and {options.rounds}"
        )
    figures = run(
        resources.model(options.model),
        objects=options.objects,
        seconds=options.seconds,
        rounds=options.rounds,
    )
    if options.json:
        print(json.dumps(figures))
    else:
        print(table(figures))
        for name, figure in figures.items():
            if name != "rungs":
                print(f"{name}: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
