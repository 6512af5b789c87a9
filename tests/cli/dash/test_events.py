# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lowlat_nodes.cli.dash.events import MOST_EVENTS, Events
from lowlat_nodes.cli.reports import Report


def report(level: str = "ok", state: str = "active", node: str = "/arm", message: str = "running") -> Report:
    return Report(node, "motion", level, message, 0.1, {"state": state})


def texts(events: Events) -> list[str]:
    return [event["text"] for event in events.newest()]


def test_the_life_of_a_node() -> None:
    events = Events()
    for at_s, seen in enumerate(
        [
            report(state="inactive"),
            report(),
            report(),
            report("error", message="stuck"),
            report("gone", message="ended"),
            report("gone", message="ended"),
            report(),
        ]
    ):
        events.see(float(at_s), [seen])
    assert texts(events) == [
        "went from gone to active",
        "went from active to gone: ended",
        "went from ok to error: stuck",
        "went from inactive to active",
        "appeared: inactive",
    ]
    assert [event["at"] for event in events.newest()] == [6.0, 4.0, 3.0, 1.0, 0.0]
    assert {event["node"] for event in events.newest()} == {"/arm"}


def test_a_warning_that_flickers_is_told_once_and_its_end_when_it_lasts() -> None:
    events = Events()
    for second in range(20):
        events.see(float(second), [report("warn" if second % 2 else "ok", message="losing messages")])
    assert texts(events) == ["went from ok to warn: losing messages", "appeared: active"]
    for second in range(20, 30):
        events.see(float(second), [report()])
    assert texts(events)[0] == "went from warn to ok"
    assert len(texts(events)) == 3


def test_a_new_life_under_the_same_name_is_told() -> None:
    events = Events()
    events.see_lives(0.0, {"/arm": frozenset({b"1"})})
    events.see_lives(1.0, {"/arm": frozenset({b"1"})})
    assert not texts(events)
    events.see_lives(2.0, {"/arm": frozenset({b"1", b"2"})})  # the dead one is still in the graph
    events.see_lives(3.0, {"/arm": frozenset({b"2"})})
    assert texts(events) == ["was started again"]
    events.see_lives(4.0, {})
    events.see_lives(5.0, {"/arm": frozenset({b"3"})})
    assert len(texts(events)) == 2


def test_only_the_newest_are_kept_and_long_messages_are_cut() -> None:
    events = Events()
    for number in range(3000):
        events.see(float(number), [report("error", node=f"/n{number}", message="m" * 9999)])
        events.see_lives(float(number), {f"/n{number}": frozenset({b"1"})})
    newest = events.newest()
    assert len(newest) == MOST_EVENTS
    assert newest[0]["node"] == "/n2999"
    assert len(newest[0]["text"]) == 300
    assert len(events._known) == len(events._lives) == 1000
