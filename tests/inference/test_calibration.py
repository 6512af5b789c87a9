# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The best of several ways to run a model, by a clock that the test moves."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.calibration import Calibration, Clocks, Row, calibrate, choose
from lowlat_nodes.inference.candidates import Candidate
from lowlat_nodes.inference.model import Model, TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError

RIGHT = [np.array([[0.9, 0.5, 0.1]], np.float32)]
SLOW, FAST, MIDDLE = Candidate("a"), Candidate("b", threads=2), Candidate("c")


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_ns = 0

    def clocks(self) -> Clocks:
        return Clocks(
            lambda: self.now_ns, lambda: 2 * self.now_ns, lambda: 0.25, lambda: 1_700_000_000 * 10**9
        )


class Timed:
    """A model whose runs take as long as the test says."""

    def __init__(self, clock: Clock, took_ms: Sequence[float], result: object, order: list[int]) -> None:
        self.path = Path("timed.onnx")
        self.inputs: Mapping[str, TensorSpec] = {}
        self.outputs = {"scores": TensorSpec("scores", (1, 3), np.float32)}
        self.metadata: dict[str, str] = {}
        self._clock, self._took_ms, self._result, self._order = clock, took_ms, result, order
        self._runs = 0

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        assert (feed, outputs) == ({}, ["scores"])
        self._order.append(id(self))
        self._clock.now_ns += round(self._took_ms[self._runs % len(self._took_ms)] * 1e6)
        self._runs += 1
        if isinstance(self._result, Exception):
            raise self._result
        assert isinstance(self._result, list)
        return self._result


@pytest.fixture
def clock() -> Clock:
    return Clock()


def loader(
    clock: Clock,
    took_ms: Mapping[Candidate, Sequence[float]],
    results: Mapping[Candidate, object] | None = None,
    order: list[int] | None = None,
    alive: dict[Candidate, weakref.ref[Timed]] | None = None,
) -> Callable[[Candidate], Model]:
    def load(candidate: Candidate) -> Model:
        if candidate not in took_ms:
            raise ConfigurationError(f"no {candidate.backend} here")
        result = (results or {}).get(candidate, RIGHT)
        model = Timed(clock, took_ms[candidate], result, [] if order is None else order)
        if alive is not None:
            alive[candidate] = weakref.ref(model)
        return model

    return load


def run(load: Callable[[Candidate], Model], clock: Clock, *wanted: Candidate, **options: object):
    options = {"limit_s": 100.0, **options}
    return calibrate(wanted, load, lambda _: {}, ["scores"], clocks=clock.clocks(), **options)


def test_the_fastest_is_chosen_and_loaded(clock: Clock) -> None:
    load = loader(clock, {SLOW: [12.0], FAST: [8.0], MIDDLE: [10.0]})
    found, model = run(load, clock, SLOW, FAST, MIDDLE, reference=RIGHT, runs=7)
    assert found.best == FAST
    assert model.path == Path("timed.onnx")
    assert [row.p50_ms for row in found.rows] == [12.0, 8.0, 10.0]
    assert [row.cpu_ms for row in found.rows] == [24.0, 16.0, 20.0]
    assert {row.runs for row in found.rows} == {7}
    assert (found.load, found.unix_ns, found.cached) == (0.25, 1_700_000_000 * 10**9, False)


def test_they_take_turns(clock: Clock) -> None:
    order: list[int] = []
    load = loader(clock, {SLOW: [9.0], FAST: [8.0], MIDDLE: [9.0]}, order=order)
    run(load, clock, SLOW, FAST, MIDDLE, runs=6)
    turns = [order[at : at + 3] for at in range(3, len(order), 3)]
    assert len(turns) == 6
    assert all(len(set(turn)) == 3 for turn in turns)
    assert len({turn[0] for turn in turns}) == 3  # each is first in turn


def test_no_turn_begins_after_the_limit(clock: Clock) -> None:
    load = loader(clock, {SLOW: [40.0], FAST: [35.0]})
    found, _ = run(load, clock, SLOW, FAST, runs=20, limit_s=0.2)
    assert [row.runs for row in found.rows] == [3, 3]
    found, _ = run(load, clock, SLOW, FAST, runs=20, limit_s=0.0)
    assert [row.runs for row in found.rows] == [1, 1]


def test_it_gives_up_when_it_is_told_to(clock: Clock) -> None:
    order: list[int] = []
    load = loader(clock, {SLOW: [40.0], FAST: [35.0]}, order=order)
    with pytest.raises(ConfigurationError, match="told to stop"):
        run(load, clock, SLOW, FAST, runs=1000, stop=lambda: len(order) > 10)
    assert len(order) == 12  # that turn was finished


def test_the_hopeless_are_stopped_and_let_go(clock: Clock) -> None:
    alive: dict[Candidate, weakref.ref[Timed]] = {}
    load = loader(clock, {SLOW: [30.0], FAST: [8.0], MIDDLE: [10.0]}, alive=alive)
    found, model = run(load, clock, SLOW, FAST, MIDDLE, runs=20)
    assert [row.runs for row in found.rows] == [5, 20, 20]
    assert found.rows[0].error == "stopped: far behind the best"
    gc.collect()
    assert [alive[candidate]() is None for candidate in (SLOW, FAST, MIDDLE)] == [True, False, True]
    assert alive[FAST]() is model


def test_one_that_was_only_held_up_is_not_hopeless(clock: Clock) -> None:
    load = loader(clock, {SLOW: [10.0], MIDDLE: [50.0, 50.0, 9.0, 50.0]})
    found, _ = run(load, clock, SLOW, MIDDLE, runs=8)
    assert [row.runs for row in found.rows] == [8, 8]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (RuntimeError("no such operator"), "no such operator"),
        ([np.array([[0.1, 0.1, 0.1]], np.float32)], "apart from the reference"),
        ([np.array([[0.9, np.nan, 0.1]], np.float32)], "its results are not finite"),
        ([np.array([[0.9, 0.5]], np.float32)], "not of the reference's shapes"),
        (KeyError(), "KeyError"),
    ],
)
def test_one_that_is_wrong_is_not_chosen_however_fast(result: object, words: str, clock: Clock) -> None:
    load = loader(clock, {SLOW: [12.0], FAST: [1.0]}, {FAST: result})
    found, _ = run(load, clock, SLOW, FAST, reference=RIGHT)
    assert found.best == SLOW
    assert words in found.rows[1].error
    assert found.rows[1].runs == 0
    assert found.rows[0].apart == 0.0


def test_tolerance_is_by_precision(clock: Clock) -> None:
    rough = [value + np.float32(0.03) for value in RIGHT]
    bf16 = Candidate("a", precision="bf16")
    load = loader(clock, {SLOW: [12.0], FAST: [2.0], bf16: [8.0]}, {FAST: rough, bf16: rough})
    found, _ = run(load, clock, SLOW, FAST, bf16, reference=RIGHT)
    assert found.best == bf16
    assert "apart" in found.rows[1].error


def test_what_is_compared_is_the_callers_choice(clock: Clock) -> None:
    load = loader(clock, {SLOW: [12.0], FAST: [2.0]}, {FAST: [-RIGHT[0]]})
    options = {"reference": RIGHT, "compared": lambda outputs: [abs(output) for output in outputs]}
    assert run(load, clock, SLOW, FAST, **options)[0].best == FAST

    def fails(outputs: list[np.ndarray]) -> list[np.ndarray]:
        if outputs[0].min() < 0:
            raise ValueError("negative scores")
        return outputs

    found, _ = run(load, clock, SLOW, FAST, reference=RIGHT, compared=fails)
    assert (found.best, found.rows[1].error) == (SLOW, "negative scores")


def test_one_that_does_not_load_is_told_with_its_reason(clock: Clock) -> None:
    found, _ = run(loader(clock, {SLOW: [12.0]}), clock, SLOW, FAST)
    assert found.best == SLOW
    assert found.rows[1].error == "no b here"
    assert found.as_text().splitlines()[-1].endswith("no b here")


def test_where_none_works_the_error_has_the_table(clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match=r"none does:\n(.*\n)+.*no a here\n.*no b here"):
        run(loader(clock, {}), clock, SLOW, FAST)


def row(candidate: Candidate, p50_ms: float, p99_ms: float = 99.0, error: str = "") -> Row:
    return Row(candidate, 20, p50_ms, p99_ms, error=error)


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([row(Candidate("a", threads=2), 10.0), row(Candidate("a", threads=1), 10.4)], 1),
        ([row(Candidate("a", threads=2), 10.0), row(Candidate("a", threads=1), 10.6)], 0),
        ([row(Candidate("a", precision="bf16"), 10.0), row(Candidate("a"), 10.4)], 1),
        ([row(Candidate("a", precision="bf16"), 10.0), row(Candidate("a", precision="fp16"), 10.4)], 1),
        ([row(Candidate("a", spinning=True), 10.0), row(Candidate("a"), 10.4)], 1),
        ([row(Candidate("a"), 10.0, 30.0), row(Candidate("b"), 10.4, 20.0)], 1),
        ([row(Candidate("a"), 10.0, error="wrong"), row(Candidate("b"), 20.0)], 1),
        ([Row(Candidate("a"), error="absent"), row(Candidate("b"), 20.0)], 1),
        ([Row(Candidate("a"), error="absent")], -1),
    ],
)
def test_among_equals_the_cheaper_is_chosen(rows: list[Row], best: int) -> None:
    assert choose(rows) == best


def test_the_table_as_text_and_json() -> None:
    rows = (
        Row(Candidate("openvino", "CPU", 2, False, "bf16", True), 20, 8.25, 9.5, 16.5, 0.004),
        Row(Candidate("onnxruntime", spinning=True), error="absent"),
    )
    found = Calibration(rows, 0, 1.5, 4, 1_700_000_000 * 10**9, cached=True)
    text = found.as_text()
    assert "load of 1.50 on 4 cores (from the cache, made 2023-11-14 22:13:20 UTC)" in text
    assert "* openvino     CPU             2       off       bf16     8.25     9.50    16.50    20" in text
    assert "  onnxruntime  cpu             1        on       fp32  absent" in text
    content = json.loads(found.as_json())
    assert content["rows"][0] == {
        "backend": "openvino",
        "device": "CPU",
        "threads": 2,
        "spinning": False,
        "precision": "bf16",
        "folded": True,
        "runs": 20,
        "p50_ms": 8.25,
        "p99_ms": 9.5,
        "cpu_ms": 16.5,
        "apart": 0.004,
        "error": "",
        "chosen": True,
    }
    assert content["rows"][1]["error"] == "absent"
    assert {key: content[key] for key in ("load", "cores", "unix_ns", "cached")} == {
        "load": 1.5,
        "cores": 4,
        "unix_ns": 1_700_000_000 * 10**9,
        "cached": True,
    }
