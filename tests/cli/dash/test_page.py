# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of `lowlat dash` in headless Chromium."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shown import GREEN, Shown, alert, arm, camera, detection, energy, node, snapshot, stream

from lowlat_nodes.benchmarks._chromium import Chromium, installed

pytestmark = [
    pytest.mark.remote,
    pytest.mark.skipif(installed() is None, reason="no Chromium is installed"),
]

PARTS = ".node, .camera, .arm, .alert, .box"
DRAWN = "document.querySelector('canvas[role=img]').getContext('2d').getImageData(3, 3, 1, 1).data[3]"
BOXED = "!!document.querySelector('.picture .box')"
HOSTILE = """</script><img src=x onerror="document.body.dataset.owned='1'">'"&amp;{{7*7}}\u202e\u0000"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Chromium]:
    """A browser with a wide window that has seen nothing yet."""
    chromium.resize(1600, 1000)
    chromium.colours(dark=False)
    chromium.open("about:blank")
    chromium.wait("location.href === 'about:blank'")
    chromium.errors.clear()
    chromium.origins.clear()
    yield chromium
    chromium.open("about:blank")


@pytest.fixture
def shown() -> Iterator[Shown]:
    with closing(Shown()) as served:
        yield served


def look(browser: Chromium, shown: Shown, first: dict[str, Any]) -> None:
    browser.open(shown.url)
    number = shown.tell(first)
    browser.wait(f"document.body?.dataset.sequence === '{number}'")


def texts(browser: Chromium, selector: str) -> list[str]:
    found: list[str] = browser.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((found) => found.textContent)"
    )
    return found


def card(name: str) -> str:
    """Return a JavaScript expression for a node's card."""
    named = f"(each) => each.querySelector('h3').textContent === {json.dumps(name)}"
    return f"[...document.querySelectorAll('.node')].find({named})"


def test_everything_that_a_snapshot_says(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    assert texts(browser, "h1") == ["robot-7 domain 12"]
    assert texts(browser, "#counts li") == ["3well", "1warn", "0trouble"]
    assert texts(browser, "#link") == ["live"]
    assert texts(browser, "h2") == ["Nodes", "Graph", "Cameras", "Arms", "Events", "Latest alerts"]
    assert texts(browser, ".node h3") == ["/arm_node", "/bridge_node", "/detector_node", "/policy_node"]
    assert texts(browser, ".node .word") == ["well", "well", "warn", "well"]
    assert texts(browser, ".node .message")[2] == "losing messages: stale 12"
    assert texts(browser, ".cell.rate p")[3] == "100 → 100Hz"
    assert texts(browser, ".cell.latency p")[3] == "20.0 – 31.0ms"
    assert texts(browser, ".cell.age p") == ["–"] + ["40.0 – 55.0ms"] * 3
    assert texts(browser, ".cell.energy p") == ["–", "no meter", "6.80mJ/action", "~6.80mJ/action"]
    assert texts(browser, ".cell.energy .label")[2:] == ["energy, fake, 250 mW", "energy, modelled, 250 mW"]
    assert texts(browser, ".losses ul") == ["none", "none", "failed: bad_image1superseded3stale12", "none"]
    assert sorted(texts(browser, "#graph .box .name")) == [
        "/arm_node", "/bridge_node", "/detector_node", "/policy_node", "/wall",
    ]  # fmt: skip
    wires = browser.evaluate(
        "[...document.querySelectorAll('#graph .wires path')].map((path) => path.classList[0])"
    )
    assert sorted(wires) == ["ros", "ros", "shm", "zmq"]
    assert texts(browser, "#legend li") == ["ROS topic", "ZeroMQ", "shared memory"]
    assert len(texts(browser, "#streams tr")) == 4
    browser.wait("!!document.querySelector('.camera .picture text')")
    assert texts(browser, ".camera .picture text") == ["square 3 0.90"]
    assert texts(browser, ".camera .ages") == ["image 31 ms old, detections 44 ms old"]
    assert texts(browser, ".joints li") == [
        "shoulder+0.00cmd +0.10",
        "elbow\N{MINUS SIGN}0.25cmd \N{MINUS SIGN}0.25",
    ]
    assert texts(browser, ".outline .label") == ["from the side", "from above"]
    assert texts(browser, ".alert h3") == ["ZTF260000", "ZTF25old"]
    assert texts(browser, ".alert .verdict") == ["SN Ia", "SN Ia"]
    assert texts(browser, ".alert:first-child .bars li") == ["SN Ia90 %", "SN II5 %", "TDE3 %", "AGN1 %"]
    assert texts(browser, "#events li b") == ["/arm_node"]
    assert not browser.errors
    assert browser.origins == {f"http://127.0.0.1:{shown.port}"}


def test_a_picture_lies_under_its_detections(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    pixel = browser.wait(
        "(() => { const at = [...document.querySelector('canvas[role=img]').getContext('2d')"
        ".getImageData(32, 24, 1, 1).data]; return at[3] ? at.slice(0, 3) : null; })()"
    )
    assert all(abs(seen - sent) < 8 for seen, sent in zip(pixel, GREEN, strict=True))
    browser.wait(BOXED)
    # In the window, the box is where it is in the image of 64 by 48.
    picture, box = (
        browser.evaluate(f"document.querySelector('{found}').getBoundingClientRect().toJSON()")
        for found in (".picture canvas", ".picture .box")
    )
    scale = picture["width"] / 64
    assert box["width"] / scale == pytest.approx(16, rel=0.05)
    assert (box["left"] - picture["left"]) / scale == pytest.approx(10, abs=0.5)
    assert (box["top"] - picture["top"]) / scale == pytest.approx(20, abs=0.5)


def test_a_light_curve_is_brighter_above(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    heights = browser.evaluate(
        "[...document.querySelectorAll('.alert:first-child .curve .band-g.symbol')]"
        ".map((point) => point.getBoundingClientRect().top)"
    )
    faint, bright = heights
    assert bright < faint
    assert len(texts(browser, ".alert:first-child .curve .error")) == 3
    assert texts(browser, ".alert:first-child .bands li") == ["g", "r"]
    shapes = browser.evaluate(
        "['g', 'r'].map((band) => document.querySelector(`.curve .symbol.band-${band}`).getAttribute('d'))"
    )
    assert shapes[0] != shapes[1]
    assert browser.evaluate("document.querySelectorAll('.alert')[1].querySelector('.curve').hidden")


def test_values_move_in_the_same_elements(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    browser.wait(BOXED)
    browser.evaluate(f"document.querySelectorAll('{PARTS}').forEach((each) => (each.kept = true)), 0")
    before = browser.evaluate(f"({card('/policy_node')}).querySelector('.value').textContent")
    places = "['.picture .box', '.links', '.dot'].map((each) => document.querySelector(each).outerHTML)"
    placed = browser.evaluate(places)
    for step in range(1, 4):
        shown.show(browser, snapshot(step=step))
    assert (
        browser.evaluate(f"({card('/policy_node')}).querySelector('.value').textContent")
        == "100 → 103"
        != before
    )
    browser.wait(f"{places}[0] !== {json.dumps(placed[0])}")
    assert all(old != new for old, new in zip(placed, browser.evaluate(places), strict=True))
    assert browser.evaluate(f"[...document.querySelectorAll('{PARTS}')].every((each) => each.kept)")
    assert texts(browser, "#events li span") == ["went from inactive to active 3"]
    assert not browser.errors


def test_plots_begin_with_the_history_and_go_on(browser: Chromium) -> None:
    at = int(time.time())
    history = {
        "at": [at - 300 + i for i in range(300)],
        "nodes": {
            "/policy_node: control": {
                "latency_p50_ms": [5.0] * 300,
                "latency_p99_ms": [None] * 10 + [9.0] * 290,
            }
        },
    }
    with closing(Shown(history=history)) as shown:
        look(browser, shown, snapshot())
        data = f"({card('/policy_node')}).querySelector('.latency .plot').plot.plot?.data"
        browser.wait(f"{data}?.[1].filter((value) => value === 5).length > 290")
        times, p50, p99 = browser.evaluate(data)
    assert (len(times), len(p50), len(p99)) == (600, 600, 600)
    assert times == list(range(times[0], times[0] + 600))
    assert p50[-1] == 20.0
    assert p99[times.index(at - 300)] is None
    assert p99[times.index(at - 200)] == 9.0
    assert not browser.errors


def test_the_figures_under_the_pointer(browser: Chromium) -> None:
    at = int(time.time())
    minute = {"latency_p50_ms": [5.0] * 60, "latency_p99_ms": [9.0] * 60}
    history = {"at": [at - 330 + i for i in range(60)], "nodes": {"/policy_node: control": minute}}
    with closing(Shown(history=history)) as shown:
        look(browser, shown, snapshot())
        plot = f"({card('/policy_node')}).querySelector('.latency .plot')"
        browser.wait(f"{plot}.plot.plot?.data[1].includes(5)")
        inside = f"{plot}.querySelector('.u-over').getBoundingClientRect().toJSON()"
        times = browser.evaluate(f"{plot}.plot.plot.data[0]")
        area = browser.evaluate(inside)
        x = area["left"] + area["width"] * (at - 300 - times[0]) / (times[-1] - times[0])
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=area["top"] + 10)
        value = f"({card('/policy_node')}).querySelector('.latency .value').textContent"
        browser.wait(f"{value} === '5.00 – 9.00'")
        assert texts(browser, "#window")[0].startswith("at ")
        # Nothing is known of the others' that second.
        assert (
            browser.evaluate(f"({card('/detector_node')}).querySelector('.latency .value').textContent")
            == "–"
        )
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
        browser.wait(f"{value} === '20.0 – 31.0'")
    assert not browser.errors


def test_a_node_that_goes_comes_back_in_its_card(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot(nodes=[node("/a"), node("/b")]))
    browser.evaluate(f"({card('/a')}).kept = true, 0")
    gone = node(
        "/a", level="gone", message="ended: it has left the ROS graph", silent_s=9.0, rate_out_hz=None
    )
    shown.show(browser, snapshot(nodes=[gone, node("/b")]))
    assert browser.evaluate(f"({card('/a')}).querySelector('.about').textContent") == "gonepartfor 9 s"
    assert texts(browser, "#counts li") == ["1well", "0warn", "1trouble"]
    assert browser.evaluate("document.title") == "1 in trouble · robot-7 · lowlat dash"
    shown.show(browser, snapshot(nodes=[node("/b")]))
    assert browser.evaluate(f"({card('/a')}).dataset.level") == "gone"
    shown.show(browser, snapshot(nodes=[node("/b"), node("/a", rate_out_hz=7.0)]))
    assert browser.evaluate(f"({card('/a')}).kept && ({card('/a')}).dataset.level") == "ok"
    assert texts(browser, ".node h3") == ["/a", "/b"]
    # One that nobody names for a minute is forgotten.
    shown.show(browser, snapshot(nodes=[node("/b")], at=time.time() + 62))
    assert texts(browser, ".node h3") == ["/b"]
    assert not browser.errors


def test_the_server_goes_and_comes_back(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    browser.evaluate("document.querySelectorAll('.node').forEach((each) => (each.kept = true)), 0")
    assert not browser.errors
    shown.close()
    browser.wait("document.body.dataset.link === 'lost'")
    assert "Disconnected since" in texts(browser, "#notice")[0]
    assert "robot-7" in texts(browser, "#notice")[0]
    with closing(Shown(port=shown.port, first=1000)) as again:
        number = again.tell(snapshot(step=5))
        browser.wait(f"document.body.dataset.sequence === '{number}'")
        assert texts(browser, "#link") == ["live"]
        assert browser.evaluate("document.getElementById('notice').hidden")
        assert browser.evaluate("[...document.querySelectorAll('.node')].every((each) => each.kept)")
    # Chromium itself writes down each attempt at a server that is away.
    assert all("net::ERR_" in error for error in browser.errors)


def test_a_server_that_asks_for_a_token(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    shown.close()
    with closing(Shown(port=shown.port, token="a-token-of-some-length")):
        browser.wait("document.body.dataset.link === 'refused'")
        assert "token" in texts(browser, "#notice")[0]


def test_a_token_does_not_stay_in_the_address(browser: Chromium) -> None:
    with closing(Shown(token="a-token-of-some-length")) as shown:
        look(browser, shown, snapshot())
        assert browser.evaluate("location.href") == f"http://127.0.0.1:{shown.port}/"
        assert texts(browser, ".node h3")
    assert not browser.errors


def test_a_connection_that_says_nothing(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    shown.hush()
    browser.wait("document.body.dataset.link === 'late'")
    assert "No news since" in texts(browser, "#notice")[0]
    shown.tell(snapshot())
    browser.wait("document.body.dataset.link === 'live'")


def test_nothing_yet(browser: Chromium, shown: Shown) -> None:
    nothing = {
        "nodes": [],
        "graph": {"nodes": [], "streams": []},
        "cameras": [],
        "arms": [],
        "alerts": [],
        "events": [],
    }
    look(browser, shown, snapshot(**nothing, domain=None))
    assert "lowlat demo --full" in texts(browser, "#nothing")[0]
    assert texts(browser, "#domain") == ["without ROS"]
    visible = "[...document.querySelectorAll('.none[id]:not([hidden])')].map((each) => each.id)"
    assert browser.evaluate(visible) == [
        "nothing",
        "no-graph",
        "no-cameras",
        "no-arms",
        "no-events",
        "no-alerts",
    ]
    shown.show(browser, snapshot())
    assert browser.evaluate(visible) == []
    assert not browser.errors


def test_hostile_strings_stay_text(browser: Chromium, shown: Shown) -> None:
    bad = HOSTILE
    now = time.time()
    curve = {bad: [[1, 2, 3]], "__proto__": [[1, 2, 3]], "g": "text", "r": [["x", None]], "i": [[1.0, 2.0]]}
    shares = {bad: 0.5, "__proto__": 0.2}
    counts = {bad: 1, "__proto__": 2}
    hostile = snapshot(
        host=bad,
        nodes=[
            node(
                bad,
                bad,
                level=bad,
                message=bad,
                state=bad,
                drops=counts,
                failures=counts,
                energy=energy(bad, unit=bad),
            )
        ],
        graph={
            "nodes": [{"name": bad, "ours": True}],
            "streams": [stream(bad, "/other", bad, bad), stream("__proto__", "constructor", bad)],
        },
        cameras=[camera(bad, detector=bad, age_ms=None, trouble=bad, detections=[detection(bad, -5.0, bad)])],
        arms=[arm([0.0], topic=bad, names=[bad], commands=None) | {"positions": [None]}],
        alerts=[
            alert(bad, at=now, curve=curve),
            {"object": bad, "best": bad, "p": shares, "at": None, "cost": None, "light_curve": bad},
        ],
        events=[{"at": now, "node": bad, "text": bad}],
    )
    look(browser, shown, hostile)
    browser.wait(BOXED)
    assert browser.evaluate("document.body.dataset.owned ?? 'safe'") == "safe"
    assert browser.evaluate("document.querySelectorAll('img, iframe, body script, a:not(.skip)').length") == 0
    assert texts(browser, ".node h3") == [bad]
    assert texts(browser, "#events li span") == [bad]
    assert texts(browser, ".node .word") == ["unknown"]
    assert not browser.errors
    assert browser.origins == {f"http://127.0.0.1:{shown.port}"}


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_window_does_not_scroll_sideways(browser: Chromium, shown: Shown, dark: bool) -> None:
    long = "/robot/" + "a_very_long_name_" * 8
    browser.resize(390, 844)
    browser.colours(dark=dark)
    extra = node(long, long, message=long, drops={long: 10**9}, failures={long: 1}, state=long)
    first = snapshot(events=[{"at": time.time(), "node": long, "text": long}])
    first["nodes"].append(extra)
    first["cameras"][0]["topic"] = long
    first["arms"][0]["names"][0] = long
    first["alerts"][0]["object"] = long
    first["graph"]["nodes"].append({"name": long, "ours": True})
    look(browser, shown, first)
    browser.wait("document.querySelectorAll('.plot canvas').length > 8")
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(19, 22, 25)" if dark else "rgb(246, 246, 244)"
    )
    browser.resize(1600, 1000)
    browser.wait("document.documentElement.scrollWidth === 1600")


def test_nothing_moves_while_a_reader_reads(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    browser.wait(BOXED)
    browser.evaluate("document.getElementById('pause').click()")
    assert texts(browser, "#link") == ["paused"]
    sequence = browser.evaluate("document.body.dataset.sequence")
    html = browser.evaluate("document.querySelector('main').innerHTML")
    number = shown.tell(snapshot(step=9))
    # The page goes on to hear: what it has heard meanwhile is shown when it may.
    assert (
        browser.evaluate("new Promise((done) => setTimeout(() => done(document.body.dataset.sequence), 300))")
        == sequence
    )
    assert browser.evaluate("document.querySelector('main').innerHTML") == html
    browser.evaluate("document.getElementById('pause').click()")
    browser.wait(f"document.body.dataset.sequence === '{number}'")
    assert texts(browser, "#link") == ["live"]


def test_a_hidden_page_asks_for_no_pictures(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    browser.wait(
        "document.querySelector('canvas[role=img]').getContext('2d').getImageData(3, 3, 1, 1).data[3]"
    )
    browser.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true}), 0")
    asked = shown.pictures
    for step in range(1, 4):
        shown.tell(snapshot(step=step))
        browser.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert shown.pictures == asked
    browser.evaluate("delete document.hidden, document.dispatchEvent(new Event('visibilitychange')), 0")
    browser.wait("document.body.dataset.sequence === '4'")
    browser.wait(f"({card('/policy_node')}).querySelector('.value').textContent === '100 → 103'")
    shown.show(browser, snapshot(step=5))
    assert shown.pictures > asked


def test_a_camera_that_stands_still_is_asked_for_all_the_same(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    browser.wait(DRAWN)
    asked, ends = shown.pictures, time.monotonic() + 60.0
    while shown.pictures == asked and time.monotonic() < ends:
        browser.evaluate("0")
        time.sleep(0.05)
    assert shown.pictures > asked


def test_headings_landmarks_and_labels(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    named = [
        (each["role"]["value"], each.get("name", {}).get("value", "")) for each in tree if not each["ignored"]
    ]
    roles = [role for role, _ in named]
    assert {"main", "banner", "status"} <= set(roles)
    regions = {name for role, name in named if role == "region"}
    assert {"Nodes", "Graph", "Cameras", "Arms", "Events", "Latest alerts"} <= regions
    wanted = {"button", "article", "region", "image", "figure", "columnheader", "heading"}
    assert not [role for role, name in named if role in wanted - {"figure"} and not name]
    # Whatever takes the focus shows that it has it.
    for _ in range(4):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        assert browser.evaluate("document.activeElement.matches(':focus-visible')")


def test_the_graph_is_laid_out_the_same_whatever_comes_first(browser: Chromium, shown: Shown) -> None:
    look(browser, shown, snapshot())
    chance = random.Random(4)
    graphs = []
    for size in range(1, 16):
        names = [f"/n{i}" for i in range(size)]
        streams = [
            stream(*chance.choices(names, k=2), f"/t{chance.randrange(6)}")
            for _ in range(chance.randrange(2 * size))
        ]
        graphs.append([names, streams])
    shuffled = [
        [chance.sample(names, len(names)), chance.sample(streams, len(streams))] for names, streams in graphs
    ]
    browser.evaluate(
        "import('/assets/graph_layout.js').then((module) => { globalThis.layOut = module.layOut; })"
    )
    lay_out = "({}).map(([names, streams]) => layOut(names, streams, () => 130))"
    plans, same = (browser.evaluate(lay_out.format(json.dumps(each))) for each in (graphs, shuffled))
    assert plans == same
    for (names, streams), plan in zip(graphs, plans, strict=True):
        boxes = plan["boxes"]
        assert sorted(box["name"] for box in boxes) == sorted(names)
        assert len(plan["wires"]) == len({tuple(each.values()) for each in streams})
        assert not any("NaN" in wire["path"] or "undefined" in wire["path"] for wire in plan["wires"])
        for i, one in enumerate(boxes):
            assert 0 <= one["x"] <= plan["width"] - one["width"]
            assert 0 <= one["y"] <= plan["height"] - one["height"]
            for other in boxes[i + 1 :]:
                apart = (
                    one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
                    or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
                )  # fmt: skip
                assert apart, (one, other)


def test_a_chain_stands_from_left_to_right(browser: Chromium, shown: Shown) -> None:
    chain = [
        stream("/z_camera", "/m_detector", "a"),
        stream("/m_detector", "/a_wall", "b"),
        stream("/z_camera", "/a_wall", "c"),
    ]
    look(browser, shown, snapshot(graph={"nodes": [], "streams": chain}))
    left = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#graph .box')]"
        ".map((box) => [box.name, box.getBoundingClientRect().left]))"
    )
    assert sorted(left, key=left.__getitem__) == ["/z_camera", "/m_detector", "/a_wall"]


def test_the_heap_does_not_grow(browser: Chromium) -> None:
    began = 1_800_000_000
    figures = ["rate_in_hz", "rate_out_hz", "watts", "j_per_result"]
    figures += [f"{what}_{share}_ms" for what in ("latency", "age") for share in ("p50", "p99")]
    # With the history of ten minutes, the arrays of the plots are as full as they get.
    full = {name: [1.5] * 600 for name in figures}
    names = [f"{each['name']}: {each['part']}" for each in snapshot()["nodes"]]
    history = {"at": [began - 600 + i for i in range(600)], "nodes": dict.fromkeys(names, full)}

    def live(first: int, last: int) -> int:
        for step in range(first, last):
            told = snapshot(step=step, at=began + step)
            # Nodes and a camera that come and go, and ever new names.
            told["nodes"].append(node(f"/passing_{step // 20}"))
            told["graph"]["nodes"].append({"name": f"/passing_{step // 20}", "ours": True})
            if step % 40 < 20:
                told["cameras"].append(told["cameras"][0] | {"topic": "/other", "index": 0})
            shown.show(browser, told)
        return browser.heap_bytes()

    with closing(Shown(history=history)) as shown:
        look(browser, shown, snapshot(at=began))
        browser.wait(f"({card('/policy_node')}).querySelector('.age .plot').plot.data[1][9] === 1.5")
        # Cards of nodes that have gone stay for a minute: until then there are more and more of them.
        start = live(0, 70)
        end = live(70, 220)
    # What V8 compiles counts too. A snapshot has 5 kB: if anything kept them, it would be a megabyte.
    assert end - start < 300_000, f"the heap grew from {start} to {end} bytes in 150 snapshots"
    assert not browser.errors
