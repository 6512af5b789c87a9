# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts from wire bytes to published classifications: how fast, how well, and what a crash loses.

Speed is measured on recorded packets of ZTF and Rubin (simulated ones where there are none), each in a
container of its own, with numbers made different so that none is a repetition. The classifier runs on one
core with all its threads; sender and receiver have another. How well it classifies is measured on simulated
light curves that no training has seen.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.alerts.alert_classifier import RESULTS, AlertClassifier
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.result import results
from lowlat_nodes.alerts.wire import Wire
from lowlat_nodes.benchmarks import _alerts_packets
from lowlat_nodes.benchmarks._alerts_plots import draw
from lowlat_nodes.benchmarks._alerts_session import AlertSession
from lowlat_nodes.benchmarks._energy import Metered, merged
from lowlat_nodes.nodes.alert.service import load_alert_classifier
from lowlat_nodes.nodes.alert.settings import AlertSettings
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.frames import encode

HELD_OUT_SEED = 20_261_126
_BATCH = 64
_SHARES = [round(0.01 * number, 2) for number in range(100)] + [0.995, 0.999]
_TURN_NS = 200_000_000
_MS, _US = 1e-6, 1e-3  # of a ns


@dataclass(frozen=True)
class Setup:
    """Where and how much to measure.

    Attributes:
        folder: For files of this run.
        data: The folder of recorded data.
        scale: Of all numbers of repetitions.
        core: Where what is measured runs.
        other: Where the rest runs.
    """

    folder: Path
    data: Path
    scale: float
    core: int
    other: int

    def session(self) -> AlertSession:
        """Start a classifier with sender and receiver."""
        return AlertSession(self.folder, self.data, self.core, self.other)


def measure_chain(setup: Setup) -> dict[str, Any]:
    """Wire bytes to result bytes, in turns with the chain of today's brokers, on the same core."""
    from lowlat_nodes.benchmarks._alerts_t2_chain import T2Chain

    packets = [packet.data for packet in _alerts_packets.ztf_packets(setup.data)][:_BATCH]
    chain = T2Chain(resources.model("alerts_t2"))
    processor = load_alert_classifier(AlertSettings())
    messages = [
        Message("alerts", Packet(data), Trace(received_ns=time.time_ns()), number)
        for number, data in enumerate(packets)
    ]

    def ours() -> None:
        for number, result in enumerate(processor.process_batch(messages)):
            encode(result, RESULTS, number)

    def theirs() -> None:
        for data in packets:
            chain.classify_packet(data)

    rounds = max(3, round(12 * setup.scale))
    medians = in_turns(rounds, ours=ours, theirs=theirs)
    stages = {name: _rounded(us) for name, us in chain.stages_us().items()}
    each = {name: ns * _US / len(packets) for name, ns in medians.items()}
    return {
        "speedup_vs_t2_chain": _rounded(each["theirs"] / each["ours"]),
        "chain_us": {
            "ours": _rounded(each["ours"]),
            "t2_chain": _rounded(each["theirs"]),
            "ours_stages": _our_stages(processor, messages, rounds),
            "t2_chain_stages": stages,
        },
    }


def measure_decode(setup: Setup) -> dict[str, Any]:
    """The columns of a light curve out of containers, beside all that fastavro makes of the same bytes."""
    ztf = [packet.data for packet in _alerts_packets.ztf_packets(setup.data)][:_BATCH]
    cases = {"": ztf}
    epochs = 0
    if _alerts_packets.is_recorded(setup.data):
        rubin, epochs = _alerts_packets.longest_rubin_packet(setup.data)
        cases["_rubin"] = [rubin]
    figures: dict[str, Any] = {}
    for name, packets in cases.items():
        each = _decode_us(packets, max(3, round(20 * setup.scale)))
        figures[f"decode_speedup_vs_fastavro{name}"] = _rounded(each["theirs"] / each["ours"])
        figures[f"decode_us{name}"] = {
            "ours": _rounded(each["ours"]),
            "fastavro": _rounded(each["theirs"]),
            "fastavro_without_container": _rounded(each["bare"]),
        }
    if epochs:
        figures["decode_us_rubin"]["epochs"] = epochs
    return figures


def measure_throughput(setup: Setup) -> dict[str, Any]:
    """Alerts a second over ZeroMQ, as fast as they are taken: the last of them classified and received."""
    count = max(2_000, round(40_000 * setup.scale))
    with closing(setup.session()) as session:
        energy = Metered([session.pid])
        session.offer(f"flood {count // 4}", count // 4)
        rates, cpu_us = [], []
        for _ in range(5):
            before_s = session.cpu_s()
            with energy:
                told, came = session.offer(f"flood {count}", count)
            _check(came, count)
            rates.append(count / ((came[:, 1].max() - told["begin_ns"]) * 1e-9))
            cpu_us.append((session.cpu_s() - before_s) / count * 1e6)
        packets = session.packets
    return {
        "alerts_per_s": _rounded(np.median(rates)),
        "throughput": {
            "rounds": [_rounded(rate) for rate in rates],
            "cpu_us_per_alert": _rounded(np.median(cpu_us)),
            **packets,
        },
        "energy": {"throughput": energy.plain("alert", count * len(rates))},
    }


def measure_open_loop(setup: Setup) -> dict[str, Any]:
    """2,000 alerts a second, each when it is due: from then until its result is received."""
    rate_hz = 2_000.0
    count = max(2_000, round(60_000 * setup.scale))
    with closing(setup.session()) as session:
        session.offer(f"flood {count // 10}", count // 10)
        with Metered([session.pid]) as energy:
            told, came = session.offer(f"pace {count} {rate_hz}", count)
    _check(came, count)
    order = np.argsort(came[:, 0])
    due_ns = told["begin_ns"] + np.arange(count) * told["step_ns"]
    latency_ms = (came[order, 1] - due_ns) * _MS
    p50, p99, p999 = np.percentile(latency_ms, [50, 99, 99.9])
    return {
        "open_loop_p99_ms": _rounded(p99),
        "open_loop": {
            "rate_hz": rate_hz,
            "alerts": count,
            "p50_ms": _rounded(p50),
            "p999_ms": _rounded(p999),
            "max_ms": _rounded(latency_ms.max()),
            "sent_late": told["sent_late"],
            "quantiles_ms": [
                [share, _rounded(value)]
                for share, value in zip(_SHARES, np.quantile(latency_ms, _SHARES), strict=True)
            ],
        },
        "energy": {"open_loop": energy.plain("alert", count)},
    }


def measure_memory(setup: Setup) -> dict[str, Any]:
    """How much the resident memory grows over a million alerts."""
    count = max(5_000, round(1_000_000 * setup.scale))
    step = max(1_000, count // 20)
    with closing(setup.session()) as session:
        session.offer(f"flood {step}", step)
        rss = [session.rss_mb()]
        done = 0
        while done < count:
            _, came = session.offer(f"flood {step}", step)
            _check(came, step)
            done += step
            rss.append(session.rss_mb())
    return {
        "rss_growth_mb": _rounded(rss[-1] - rss[0]),
        "memory": {"alerts": done, "rss_mb": [_rounded(each) for each in rss]},
    }


def measure_model(setup: Setup) -> dict[str, Any]:
    """How well simulated light curves are classified that no training has seen."""
    from lowlat_nodes.alerts.loading import load_classifier
    from lowlat_nodes.sim.sky.population import generate
    from lowlat_nodes.sim.sky.surveys import SURVEYS
    from lowlat_nodes.train.alerts import metrics
    from lowlat_nodes.train.alerts.whole import whole_light_curves

    count = max(600, round(12_000 * setup.scale))
    whole = whole_light_curves(count, HELD_OUT_SEED)
    classifier = load_classifier("tokens")
    seen_whole = classifier.classify(whole.light_curves)
    curves, labels, _ = generate(count, HELD_OUT_SEED)
    begin = time.perf_counter()
    probabilities = classifier.classify(curves)
    took_s = time.perf_counter() - begin
    detections = np.add.reduceat(curves.detected.astype(np.int64), curves.offsets[:-1])
    named = probabilities.max(axis=1) >= classifier.threshold
    return {
        "sim_macro_f1": _rounded(metrics.macro_f1(whole.labels, seen_whole)),
        "ece": _rounded(metrics.calibration_error(labels, probabilities)),
        "sim": {
            "simulated_light_curves": count,
            "seed": HELD_OUT_SEED,
            "f1_by_class": dict(
                zip(CLASSES, map(_rounded, metrics.f1_scores(whole.labels, seen_whole)), strict=True)
            ),
            "macro_f1_by_survey": {
                name: _rounded(metrics.macro_f1(whole.labels[chosen], seen_whole[chosen]))
                for code, name in enumerate(SURVEYS)
                if (chosen := whole.surveys == code).any()
            },
            "ece_whole": _rounded(metrics.calibration_error(whole.labels, seen_whole)),
            "as_they_come": {
                "macro_f1": _rounded(metrics.macro_f1(labels, probabilities)),
                "macro_f1_by_detections": {
                    name: _rounded(metrics.macro_f1(labels[chosen], probabilities[chosen]))
                    for name, (low, high) in _DETECTIONS.items()
                    if (chosen := (detections >= low) & (detections <= high)).any()
                },
                "log_loss": _rounded(metrics.log_loss(labels, probabilities)),
                "named": _rounded(named.mean()),
                "accuracy_of_named": _rounded((probabilities.argmax(1) == labels)[named].mean()),
                "model_us": _rounded(took_s / len(labels) * 1e6),
            },
        },
    }


def measure_kafka(setup: Setup) -> dict[str, Any]:
    """Consumers are killed under load, and started again: what is lost, what comes twice."""
    from lowlat_nodes.benchmarks import _alerts_kafka

    return {
        "kafka": _alerts_kafka.kill_test(kills=max(1, round(20 * setup.scale))),
        "kafka_scaling": _alerts_kafka.scaling(),
    }


def measure_fuzz(setup: Setup) -> dict[str, Any]:
    """Millions of damaged packets through the decoder, in processes that may crash."""
    from lowlat_nodes.alerts.avro.fuzz import fuzz

    wire = Wire()
    corpus: dict[Any, list[bytes]] = {}
    for packet in _alerts_packets.ztf_packets(setup.data):
        schema, body = wire.open(Packet(packet.data))
        corpus.setdefault(schema, []).append(bytes(body))
    real = [(schema.text, bodies) for schema, bodies in corpus.items()]
    return {"fuzz": fuzz(max(10_000, round(10_000_000 * setup.scale)), seed=0, processes=1, corpus=real)}


PARTS: dict[str, Callable[[Setup], dict[str, Any]]] = {
    "chain": measure_chain,
    "decode": measure_decode,
    "throughput": measure_throughput,
    "open_loop": measure_open_loop,
    "model": measure_model,
    "kafka": measure_kafka,
    "memory": measure_memory,
    "fuzz": measure_fuzz,
}
_DETECTIONS = {
    "1": (1, 1),
    "2 to 3": (2, 3),
    "4 to 7": (4, 7),
    "8 to 15": (8, 15),
    "16 to 31": (16, 31),
    "32 and more": (32, np.inf),
}
_PINNED = {"chain", "decode", "model"}


def in_turns(rounds: int, **calls: Callable[[], None]) -> dict[str, float]:
    """Return the median time of each call in ns; in each turn a call is repeated for `_TURN_NS`.

    So each is measured as it runs in a stream, and not with the caches that the other has left.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            repeats, begin_ns = 0, time.perf_counter_ns()
            while (elapsed_ns := time.perf_counter_ns() - begin_ns) < _TURN_NS:
                call()
                repeats += 1
            times[name].append(elapsed_ns / repeats)
    return {name: float(np.median(values)) for name, values in times.items()}


def _our_stages(processor: AlertClassifier, messages: Sequence[Message], rounds: int) -> dict[str, float]:
    """Return the time for an alert in each stage of ours, measured one by one."""
    packets = [message.payload for message in messages]
    received_ns = [message.trace.received_ns for message in messages]
    read = processor.ingest.read(packets)
    probabilities = processor.classifier.classify(read.light_curves)
    made = processor.process_batch(messages)
    medians = in_turns(
        rounds,
        read=lambda: processor.ingest.read(packets),
        classify=lambda: processor.classifier.classify(read.light_curves),
        results=lambda: results(read, probabilities, processor.classifier, received_ns),
        encode=lambda: [encode(result, RESULTS, number) for number, result in enumerate(made)],
    )
    return {name: _rounded(ns * _US / len(packets)) for name, ns in medians.items()}


def _decode_us(packets: Sequence[bytes], rounds: int) -> dict[str, float]:
    """Return the time for a packet, ours with the search for its schema."""
    import fastavro

    from lowlat_nodes.alerts.ingest import learn

    wire = Wire()
    opened = [wire.open(Packet(data)) for data in packets]
    readers = {schema: learn(schema.text).reader for schema, _ in opened}
    parsed = {schema: fastavro.parse_schema(json.loads(schema.text)) for schema in readers}
    bodies = [(parsed[schema], bytes(body)) for schema, body in opened]
    given = [Packet(data) for data in packets]

    def ours() -> None:
        groups: dict[Any, list[Any]] = {}
        for packet in given:
            schema, body = wire.open(packet)
            groups.setdefault(schema, []).append(body)
        for schema, found in groups.items():
            if readers[schema].read(found).refused:
                raise RuntimeError("expected packets that can be read")

    def theirs() -> None:
        for data in packets:
            next(fastavro.reader(io.BytesIO(data)))

    def bare() -> None:
        for schema, body in bodies:
            fastavro.schemaless_reader(io.BytesIO(body), schema, None)

    medians = in_turns(rounds, ours=ours, theirs=theirs, bare=bare)
    return {name: ns * _US / len(packets) for name, ns in medians.items()}


def _check(came: NDArray[np.int64], count: int) -> None:
    if len(np.unique(came[:, 0])) != count or len(came) != count:
        raise RuntimeError(f"expected the results of {count} alerts, got {len(came)}")


def _rounded(value: Any) -> float:
    return float(f"{float(value):.5g}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench alerts", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="run only this one; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="of all repetitions; less is quicker (1)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("LOWLAT_TEST_DATA", "../shared/data")),
        metavar="FOLDER",
        help="folder with alerts/ztf and alerts/lsst, of recorded packets (LOWLAT_TEST_DATA, or "
        "../shared/data); without them packets are simulated, and recorded_packets is false",
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the figures as SVG there")
    options = parser.parse_args(argv)
    cores = sorted(os.sched_getaffinity(0))
    figures: dict[str, Any] = {"recorded_packets": _alerts_packets.is_recorded(options.data)}
    if not figures["recorded_packets"]:
        print(f"no recorded alerts in {options.data}: packets are simulated", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        setup = Setup(Path(name), options.data, options.scale, cores[0], cores[-1])
        for part in options.part or PARTS:
            print(f"{part}: {PARTS[part].__doc__}", file=sys.stderr, flush=True)
            found = _on_one_core(PARTS[part], setup) if part in _PINNED else PARTS[part](setup)
            figures = merged(figures, found)
    if options.plots:
        draw(figures, options.plots)
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        print(json.dumps(figures | {"machine": machine}))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")
    return 0


def _on_one_core(measure: Callable[[Setup], dict[str, Any]], setup: Setup) -> dict[str, Any]:
    """Measure with all threads of this process on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {setup.core})
    try:
        return measure(setup)
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    sys.exit(main())
