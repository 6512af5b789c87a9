# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A model that is another kind, has other classes or no threshold is refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.model_metadata import read_threshold
from lowlat_nodes.stream.errors import ConfigurationError

GOOD = {
    "contract": "c-1",
    "classes": json.dumps(CLASSES),
    "fields": json.dumps(["days", "flux"]),
    "threshold": "0.75",
}


def read(metadata: dict[str, str]) -> float:
    expected = {"fields": ("days", "flux")}
    return read_threshold(Path("m.onnx"), metadata, "c-1", trainer="lowlat train x", expected=expected)


def test_the_threshold_is_read() -> None:
    assert read(GOOD) == 0.75


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("contract", "c-2", "expected a model of `lowlat train x` with contract c-1, got 'c-2'"),
        ("classes", '["SN Ia"]', 'expected classes ["SN Ia", "SN II"'),
        (
            "fields",
            '["flux", "days"]',
            'expected fields ["days", "flux"], got ["flux", "days"]; train it anew',
        ),
        ("threshold", "high", "expected a number as threshold"),
        ("threshold", "nan", "expected a threshold from 0 to 1, got nan"),
        ("threshold", "1.5", "expected a threshold from 0 to 1, got 1.5"),
    ],
)
def test_anything_else_is_refused(key: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(GOOD | {key: value})
    assert str(caught.value).startswith("m.onnx: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize("key", GOOD)
def test_nothing_may_be_missing(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"m\.onnx: expected"):
        read({name: value for name, value in GOOD.items() if name != key})
