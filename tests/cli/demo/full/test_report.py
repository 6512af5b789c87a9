# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The report about the whole graph."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.demo.full import report
from lowlat_nodes.cli.demo.full.command import evaluate
from lowlat_nodes.cli.demo.full.result import FullResult
from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.cli.demo.result import Check

pytest.importorskip("matplotlib")

VOID = {"meta", "link", "br", "img", "hr", "path", "use", "rect"}


class Balance(HTMLParser):
    """Collects tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture
def result(fake_full_run: Any, tmp_path: Path) -> FullResult:
    folder = fake_full_run.save(tmp_path / "run")
    return evaluate(FullSettings.load(folder), folder)


def test_the_page_is_one_file_with_nothing_from_elsewhere(result: FullResult) -> None:
    page = report.render(result, result.checks(), {"cores": "2"}, "lowlat demo --full", b"\xff\xd8picture")

    balance = Balance()
    balance.feed(page)
    assert not balance.open
    assert not balance.wrong
    assert "data:image/jpeg;base64," in page
    links = re.findall(r'(?:src|href)="([^"#]*)', page)
    assert all(link.startswith("data:") for link in links), links
    assert "@import" not in page
    assert page.count("<svg") == 6
    for name in result.settings.nodes:
        assert f'<th scope="row">{name}</th>' in page
    assert "$" not in page


def test_text_of_nodes_and_machines_is_escaped(result: FullResult) -> None:
    checks = [Check(False, "<b>no</b>")]
    page = report.render(result, checks, {"cores": "2", "processor": "<script>"}, "lowlat demo --full > x")
    assert "<b>no</b>" not in page
    assert "<script>" not in page
    assert "--full &gt; x" in page


def test_the_verdict_says_what_came_out(result: FullResult) -> None:
    good = [Check(True, "all is well")]
    assert report.verdict(result, good) == (
        "Six nodes, 10 seconds: no command was late and no alert was lost"
    )
    assert report.verdict(result, [*good, Check(False, "it is not")]) == "The graph did not work as it should"


def test_a_graph_without_detector_alerts_and_meters_has_a_report_too(
    fake_full_run: Any, tmp_path: Path
) -> None:
    nodes = ("sim_arm_node", "policy_node")
    silent = {"detector_node", "alert_node", "alert_replay_node", "recorder_node"}
    fake_full_run.said = [
        each
        for each in fake_full_run.said
        if each.get("node") not in silent and "frame" not in each and "result" not in each
    ]
    for what in fake_full_run.used.values():
        for name in silent:
            del what[name]
    for each in fake_full_run.used["energy"].values():
        each |= {"kind": "unavailable", "watts": None, "meters": [], "why": "nobody samples this host"}
    folder = fake_full_run.save(tmp_path / "less")
    FullSettings(10.0, 5, 0, nodes).save(folder)

    less = evaluate(FullSettings.load(folder), folder)

    figures = less.figures()
    assert figures["detector"] is figures["alerts"] is figures["bag"] is None
    assert figures["energy"]["kind"] == dict.fromkeys(nodes, "unavailable")
    assert all(check.passed for check in less.checks())
    page = report.render(less, less.checks(), {}, "lowlat demo --full")
    assert "no meter" in page
    assert "Nobody samples this host." in page
    assert "What the detector saw" not in page
