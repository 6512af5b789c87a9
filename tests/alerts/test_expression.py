# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Expressions over results: what they mean, and everything that is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.alerts.expression import MAX_LENGTH, condition
from lowlat_nodes.stream.errors import ConfigurationError

FIELDS: dict[str, Any] = {
    "survey": str,
    "best": str,
    "detections": int,
    "alert_id": int,
    "mjd": float,
    "magnitude": float,
    "moving": bool,
    "p": {"SN Ia": float, "SN II": float},
}
CHOICES = {"best": ("SN Ia", "SN II", "abstained")}
ALERT: dict[str, Any] = {
    "survey": "ztf",
    "best": "SN Ia",
    "detections": 4,
    "alert_id": 2**62 + 1,
    "mjd": 59000.5,
    "magnitude": None,
    "moving": False,
    "p": {"SN Ia": 0.9, "SN II": None},
}


def holds(text: str) -> bool:
    return condition(text, FIELDS, CHOICES)(ALERT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('p["SN Ia"] > 0.8 and detections >= 4 and survey == "ztf"', True),
        ('p["SN Ia"] > 0.8 and detections > 4', False),
        ('detections > 4 or survey != "lsst"', True),
        ("detections > 4 or detections < 4 or moving", False),
        ("not (detections > 4 or moving)", True),
        ("3 < detections <= 4 < mjd", True),
        ("3 < detections < 4", False),
        ("detections in [1, 4]", True),
        ('survey in ("lsst", "ztf") and best not in {"SN II"}', True),
        ("(mjd - 59000) * 2 + 1 == 2", True),
        ("-detections / 8 == -0.5", True),
        ("abs(2 - detections) == min(2, 3, detections) == max(1, 2)", True),
        (f"alert_id == {2**62 + 1}", True),
        (f"alert_id == {2**62}", False),  # compared as whole numbers
        ("moving", False),
        ("moving == False", True),
        ("True", True),
        ("\n  detections > 3\n  and survey == 'ztf' \n", True),
    ],
)
def test_what_expressions_mean(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("magnitude < 19", False),
        ("magnitude >= 19", False),
        ("magnitude == 19", False),
        ("magnitude != 19", False),
        ("magnitude in [19]", False),
        ("magnitude not in [19]", False),
        ("not magnitude < 19", True),
        ("magnitude is None", True),
        ("magnitude is not None", False),
        ("mjd is None", False),
        ('p["SN II"] is None', True),
        ('p["SN Ia"] + p["SN II"] > 0', False),
        ("max(magnitude, 1) is None", True),
        ("detections / (mjd - 59000.5) > 0", False),
        ("detections / 0 is None", True),
        ("alert_id * " * 17 + "0.5 > 0", False),  # beyond any float
    ],
)
def test_what_is_null_compares_as_false(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("detection > 3", "'detection' is unknown; did you mean 'detections'?"),
        ("zzz > 3", "'zzz' is unknown; expected one of: 'survey', 'best'"),
        ('p["SN 1a"] > 0.5', "'SN 1a' is unknown; did you mean 'SN Ia'?"),
        ('q["SN Ia"] > 0.5', "'q' is unknown; expected one of: 'p'"),
        ('best == "SNIa"', "at '\"SNIa\"': 'SNIa' is unknown; did you mean 'SN Ia'?"),
        ('"SNIa" != best', "did you mean 'SN Ia'?"),
        ('best in ["SN Ia", "SN 2"]', "'SN 2' is unknown"),
        ("p > 0.5", "expected p[...] with one of: 'SN Ia', 'SN II'"),
        ("p[0] > 0.5", "expected in the brackets one of: 'SN Ia', 'SN II'"),
        ("p[best] > 0.5", "expected in the brackets one of"),
        ("p[0:1] > 0.5", "expected in the brackets one of"),
        ('p["SN Ia"]["a"] > 1', "expected brackets only after one of: p"),
        ('survey["a"] == "b"', "'survey' is unknown; expected one of: 'p'"),
        ('survey > "a"', "expected a number, got a text"),
        ("survey == 3", "expected a text, got a number"),
        ('detections == "4"', "expected a number, got a text"),
        ("moving > 0", "expected a number, got a truth"),
        ("moving + 1 > 0", "expected a number, got a truth"),
        ("moving is None", "expected a number or text, got a truth"),
        ("detections", "expected a truth, got a number"),
        ("detections and moving", "expected a truth, got a number"),
        ("not detections", "expected a truth, got a number"),
        ('survey * 9 == "a"', "expected a number, got a text"),
        ("detections ** 9 > 0", "expected + - * or /"),
        ("detections // 2 > 0", "expected + - * or /"),
        ("~detections > 0", "expected a minus or not"),
        ("detections in 4", "expected a list of numbers or text after in"),
        ("detections in [mjd]", "expected a list of numbers or text after in"),
        ('detections in [4, "4"]', "expected a number, got a text"),
        ("moving in [True]", "expected a number or text, got a truth"),
        ("detections is 4", "expected is None, or is not None"),
        ("detections == None", "expected a number, text, True or False"),
        ("detections > 1j", "expected a number, text, True or False"),
        ("detections > b'4'", "expected a number, text, True or False"),
        ("detections > ...", "expected a number, text, True or False"),
        ("max(detections) > 1", "expected 2 to 10 arguments of max"),
        ("max(1, 2, key=3) > 1", "expected 2 to 10 arguments of max"),
        ("max(*p) > 1", "expected 2 to 10 arguments of max"),
        ("max(1, *p) > 1", "expected fields, numbers, text"),
        ("sum(1, 2) > 1", "'sum' is unknown; expected one of: 'abs', 'min', 'max'"),
        ("abs > 1", "'abs' is unknown"),
        ("__import__('os').system('true') == 0", "expected a call of one of: abs, min, max"),
        ("exec('1') == 1", "'exec' is unknown"),
        ("survey.upper() == 'ZTF'", "expected a call of one of"),
        ("survey.upper == 'ZTF'", "expected fields, numbers, text, comparisons"),
        ("(lambda: True)()", "expected a call of one of"),
        ("lambda: True", "expected fields, numbers, text"),
        ("[x for x in p]", "expected fields, numbers, text"),
        ("(a := 1) > 0", "expected fields, numbers, text"),
        ("moving if moving else moving", "expected fields, numbers, text"),
        ("f'{survey}' == 'ztf'", "expected fields, numbers, text"),
        ("[1] == [1]", "expected fields, numbers, text"),
        ("await moving", "expected"),
        ("detections = 4", "expected an expression"),
        ("detections > 4; moving", "expected an expression"),
        ("import os", "expected an expression"),
        ("detections >", "expected an expression"),
        ("", "expected an expression"),
        ("\0", "expected an expression"),
        ("(" * 400 + "1" + ")" * 400, "expected an expression"),
        ("not " * 30 + "moving", "expected at most 20 levels"),
        ("moving or " * 100 + "moving", "expected at most 1000 characters, got"),
    ],
)
def test_what_is_refused_when_it_is_configured(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(reason)):
        condition(text, FIELDS, CHOICES)


def test_a_refusal_says_where() -> None:
    with pytest.raises(ConfigurationError, match=r"'moving or detektions > 3' at 'detektions': "):
        condition("moving or detektions > 3", FIELDS, CHOICES)


def test_the_longest_expression_is_taken() -> None:
    text = "moving or " * 200
    assert condition(text[: MAX_LENGTH - 10] + "not moving", FIELDS, CHOICES)(ALERT) is True


@given(st.text(max_size=40) | st.text("()[]'\"pnotadr <>=!+-*/.,:0123456789\\\n", max_size=40))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        found = condition(text, FIELDS, CHOICES)
    except ConfigurationError:
        return
    assert found(ALERT) in {True, False}
