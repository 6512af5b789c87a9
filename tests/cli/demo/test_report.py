# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The report: words that fit the figures, and a page that needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from lowlat_nodes.cli.demo import report
from lowlat_nodes.cli.demo.energy import RunEnergy, unavailable
from lowlat_nodes.cli.demo.page import joules
from lowlat_nodes.cli.demo.recording import read
from lowlat_nodes.cli.demo.result import Check, StrategyResult, evaluate
from lowlat_nodes.cli.demo.settings import DemoSettings

pytest.importorskip("matplotlib")

Make = Callable[..., Any]

NO_METER = unavailable("nobody samples")


class Page(HTMLParser):
    """What a page refers to and says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def make(
    fake_run: Make, energy: RunEnergy | None = None, **runs: dict[str, Any]
) -> dict[str, StrategyResult]:
    return {
        name: evaluate(name, read(fake_run(**made).in_order()), energy or NO_METER)
        for name, made in runs.items()
    }


def test_the_page_stands_alone_and_has_a_figure_of_each_kind(fake_run: Make) -> None:
    results = make(
        fake_run,
        sync={"reaction_ms": 600.0, "hits": 7},
        naive_async={"reaction_ms": 300.0, "hits": 9},
        vlash={"reaction_ms": 240.0},
    )
    text = report.render(
        DemoSettings(targets=12), results, [Check(True, "all <is> well")], {"python": "3"}, "lowlat demo"
    )
    page = Page(text)

    assert all(reference.startswith("#") for reference in page.references)
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 5
    assert "all <is> well" in page.words
    assert page.words.count("no meter") == 3
    assert "No meter: nobody samples." in page.words
    for name in results:
        assert name in page.words
    assert "$" not in page.words


def test_a_single_strategy_has_a_page_too(fake_run: Make) -> None:
    results = make(fake_run, naive_async={})

    page = Page(report.render(DemoSettings(("naive_async",)), results, [], {}, "lowlat demo"))

    assert "naive_async touched 12 of 12 lights" in page.words


def test_any_strategy_has_words_and_a_colour_in_the_page(fake_run: Make) -> None:
    results = make(fake_run, vlash_once_per_chunk={}, rtc={})
    settings = DemoSettings(("vlash_once_per_chunk", "rtc"), parameters={"policy.threads": 2})

    page = Page(text := report.render(settings, results, [], {}, "lowlat demo"))

    assert "asks once per chunk" in page.words
    assert ".rtc th" in text
    assert "policy.threads" in page.words


def test_what_failed_comes_first(fake_run: Make) -> None:
    results = make(fake_run, vlash={})
    failed = [Check(False, "3 ticks were not served")]

    text = report.render(DemoSettings(("vlash",)), results, failed, {}, "lowlat demo")

    assert report.verdict(results, failed) == "The demo did not work as it should"
    assert text.index("What failed") < text.index("The strategies side by side")


def test_the_verdict_is_the_ratio_of_the_medians(fake_run: Make) -> None:
    results = make(fake_run, sync={"reaction_ms": 600.0}, vlash={"reaction_ms": 200.0})

    assert "reacts 3.0 times as fast" in report.verdict(results)


def test_no_gain_is_not_called_one(fake_run: Make) -> None:
    results = make(fake_run, sync={"reaction_ms": 200.0}, vlash={"reaction_ms": 400.0, "hits": 3})

    assert "no faster" in report.verdict(results)
    assert any("a clear loss" in sentence for sentence in report.sentences(results))


def test_a_difference_within_chance_is_called_so(fake_run: Make) -> None:
    results = make(fake_run, naive_async={"hits": 11}, vlash={"hits": 12})

    assert any("cannot tell them apart" in sentence for sentence in report.sentences(results))


def test_a_clear_gain_is_called_so_with_its_interval(fake_run: Make) -> None:
    results = make(fake_run, sync={"hits": 3}, vlash={"hits": 12})

    [sentence] = [text for text in report.sentences(results) if text.startswith("Against sync")]

    assert "+75 points" in sentence
    assert "a clear gain" in sentence


def test_stalled_ticks_are_told(fake_run: Make) -> None:
    results = make(fake_run, vlash={"stalled_ticks": 5})

    assert any("without a valid plan at 5 of" in sentence for sentence in report.sentences(results))


def test_energy_is_marked_as_it_is_known_with_a_note_for_each_reason(fake_run: Make) -> None:
    model = RunEnergy("modelled", 0.31, ("model/cpu",), "0.74 W idle, 3.5 W busy")
    known = {
        "sync": model,
        "naive_async": RunEnergy("measured", 1.9, ("rapl/package-0", "nvml/0")),
        "vlash": unavailable("may not be read: chgrp"),
        "ours": model,
    }
    results = {name: evaluate(name, read(fake_run().in_order()), energy) for name, energy in known.items()}

    page = Page(text := report.render(DemoSettings(tuple(known)), results, [], {}, "lowlat demo"))

    assert text.count("<small>modelled<sup>1</sup></small>") == 2
    assert text.count("<small>measured<sup>2</sup></small>") == 1
    assert text.count('<span class="none">no meter</span><sup>3</sup>') == 1
    assert "Modelled, not measured. By model/cpu" in page.words
    assert "0.74 W idle, 3.5 W busy." in page.words
    assert "By rapl/package-0, nvml/0: what the policy node" in page.words
    assert "No meter: may not be read: chgrp." in page.words
    assert page.words.count("0.74 W idle") == 1


def test_without_a_meter_no_energy_is_told(fake_run: Make) -> None:
    results = make(fake_run, sync={}, vlash={})

    assert not any("An action costs" in sentence for sentence in report.sentences(results))


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.345, "12.3 J"), (1.0, "1 J"), (0.02, "20 mJ"), (0.000_31, "310 µJ"), (0.0, "0 µJ")],
)
def test_an_energy_has_a_unit_that_suits_it(value: float, text: str) -> None:
    assert joules(value) == text
