# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Filters: expressions and functions over results, and functions that misbehave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.filters import Filters, FilterSettings
from lowlat_nodes.alerts.result import BRANCHES, FIELDS
from lowlat_nodes.stream.config import build, group, settings
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Record

SOURCE = """
import numpy
RAISED = 0
def bright(fields): return fields["magnitude"] is not None and fields["magnitude"] < 19
def counted(fields): return numpy.bool_(fields["detections"] > 5)
def forgets(fields): fields["detections"] > 5
def raises(fields): raise RuntimeError("no star today")
def two(fields, more): return True
class Within:
    def __call__(self, fields): return True
within = Within()
"""


@dataclass(frozen=True)
class Config:
    filters: Mapping[str, FilterSettings] = group(FilterSettings, doc="Filters by name.")


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module with filters."""
    name = f"filters_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def result(number: int, **fields: Any) -> Record:
    named = {name: {} if isinstance(kind, dict) else kind() for name, kind in FIELDS.items()}
    named["p"] = dict.fromkeys(CLASSES, 0.0) | {"SN Ia": 1.0}
    named["tree"] = dict.fromkeys(BRANCHES, 0.5)
    return Record(named | fields, f"ztf:{number}".encode())


def filters(**texts: str) -> Filters:
    return Filters({name: FilterSettings(keep=text) for name, text in texts.items()})


RESULTS = [
    result(number, detections=number, survey="ztf", magnitude=None if number % 2 else 18.0)
    for number in range(10)
]


def keys(results: list[Record]) -> list[int]:
    return [int(item.key.removeprefix(b"ztf:")) for item in results]


def test_each_filter_keeps_what_it_is_for() -> None:
    made = filters(
        late='p["SN Ia"] > 0.8 and detections >= 8', none='survey == "lsst"', all="detections >= 0"
    )
    kept = made.keep(RESULTS)
    assert made.names == tuple(kept) == ("late", "none", "all")
    assert [keys(found) for found in kept.values()] == [[8, 9], [], list(range(10))]
    assert kept["late"][0] is RESULTS[8]
    made.keep(RESULTS)
    assert made.kept.snapshot() == {"late": 4, "all": 20}
    assert (made.failures.total, made.last_failure) == (0, "")


def test_functions_are_filters_too(functions: str) -> None:
    kept = filters(
        bright=f"{functions}:bright", counted=f" {functions}:counted ", within=f"{functions}:within"
    ).keep(RESULTS)
    assert [keys(found) for found in kept.values()] == [[0, 2, 4, 6, 8], [6, 7, 8, 9], list(range(10))]


def test_a_function_that_fails_keeps_nothing_and_hurts_nobody(functions: str) -> None:
    made = filters(bad=f"{functions}:raises", worse=f"{functions}:forgets", good="detections > 8")
    kept = made.keep(RESULTS)
    assert [keys(found) for found in kept.values()] == [[], [], [9]]
    assert made.failures.snapshot() == {"bad": 10, "worse": 10}
    assert made.last_failure == "filter worse: ztf:9: TypeError: expected True or False, got None"


def test_expressions_over_every_field_that_results_have() -> None:
    for name, kind in FIELDS.items():
        for text in [f'{name}["{key}"]' for key in kind] if isinstance(kind, dict) else [name]:
            assert filters(one=f"{text} is not None").keep(RESULTS)["one"] or name == "magnitude"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("detection > 3", "filter 'one': expression 'detection > 3' at 'detection': .* 'detections'"),
        ('best == "SN 1a"', "did you mean 'SN Ia'"),
        ('band == "ztfg"', "did you mean 'ztf_g'"),
        ("no_such_module_of_filters:f", "filter 'one': cannot import no_such_module.*PYTHONPATH"),
        ("json:lods", "json has no function 'lods'; did you mean 'loads'?"),
        ("MODULE:RAISED", "has no function 'RAISED'"),
        ("MODULE:two", "MODULE:two must take the fields of a result: missing a required argument: 'more'"),
        ("", "expected an expression"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_configured(functions: str, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason.replace("MODULE", functions)):
        filters(one=text.replace("MODULE", functions))


def test_a_module_that_raises_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "filters_that_raise.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="ZeroDivisionError: division by zero"):
        filters(one="filters_that_raise:f")


def test_filters_are_parameters_of_a_node() -> None:
    values = {"filters.early.keep": "detections < 3", "filters.early.topic": "sn/early"}
    config = build(Config, values)
    assert config.filters == {"early": FilterSettings(keep="detections < 3", topic="sn/early")}
    assert [item.name for item in settings(Config, values)] == list(values)
    assert keys(Filters(config.filters).keep(RESULTS)["early"]) == [0, 1, 2]
