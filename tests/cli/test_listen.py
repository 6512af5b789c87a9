# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat listen`: what a publisher says, as a user sees it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "transport" / "zmq"))

from speaker import PATIENCE_S, Speaker, speaking

from lowlat_nodes.cli import listen
from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.cli.listen import TopicFigures, table
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.payload import Detections, Image, Record
from lowlat_nodes.transport.zmq.tap import Tap, Tapped


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking(epoch=7) as made:
        yield made


@pytest.fixture
def talk(speaker: Speaker) -> Iterator[Callable[..., None]]:
    """Say things once somebody listens, in a thread."""
    threads: list[threading.Thread] = []

    def start(*said: tuple[str, Any], prefix: str = "") -> None:
        def run() -> None:
            speaker.wait_for_listener(prefix)
            for topic, payload in said:
                if topic:
                    speaker.say(topic, payload)
                else:
                    speaker.send(payload)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_each_message_is_a_json_object(
    speaker: Speaker, talk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    found = Detections(np.array([[1, 2, 3, 4, 0.5, 0]], np.float32), ("cup",))
    talk(("found", found), ("numbers", np.array([1.5, np.nan])), ("result", Record({"a": [1]}, b"k")))
    assert lowlat.main(["listen", speaker.endpoint, "--json", "--values", "2", "--count", "3"]) == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["topic"], first["header"]["schema"], first["header"]["seq"]) == ("found", "detections", 0)
    assert first["header"]["names"] == ["cup"]
    assert first["header"]["arrays"] == [["<f4", [1, 6]]]
    assert first["values"] == [None]
    assert first["lost"] == 0
    assert first["received_ns"] > first["header"]["trace"][5] > 0
    assert first["bytes"] > 24
    assert second["values"] == [[1.5, None]]
    assert (third["header"]["fields"], third["header"]["key"]) == ({"a": [1]}, "k")


def test_a_table_has_a_line_for_each_topic(
    speaker: Speaker, talk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    picture = Image(np.zeros((48, 64, 3), np.uint8), "rgb8")
    talk(*[("camera", picture)] * 3, ("a\x1b[2J", np.zeros(4, np.int16)))
    assert lowlat.main(["listen", speaker.endpoint, "--count", "4", "--interval", str(PATIENCE_S)]) == 0
    head, odd, camera = capsys.readouterr().out.rstrip("\n").splitlines()
    assert head.split()[:3] == ["topic", "schema", "content"]
    assert odd.split()[:3] == ["a?[2J", "array", "int16[4]"]  # nothing that commands the terminal
    cells = camera.split()
    assert cells[:4] == ["camera", "image", "uint8[48,64,3]", "rgb8"]
    assert float(cells[4]) > 0.0
    assert cells[5] == "9.3"  # kB
    assert cells[7:] == ["2", "0"]


def test_only_the_topics_that_were_asked_for(
    speaker: Speaker, talk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = np.zeros(1)
    talk(("a", numbers), ("b", numbers), ("ab", numbers), ("a", numbers), prefix="a")
    assert lowlat.main(["listen", speaker.endpoint, "a", "--json", "--count", "2"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["topic"] for line in lines] == ["a", "a"]


def test_malformed_messages_are_told(
    speaker: Speaker, talk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    talk(("", [b"a", b"\xc1"]), ("a", np.zeros(1)))
    assert lowlat.main(["listen", speaker.endpoint, "--json", "--count", "1"]) == 0
    assert "1 malformed, such as" in capsys.readouterr().err


def test_silence_is_told_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = f"ipc://{tmp_path}/nobody"
    for options in ([], ["--json"]):
        assert lowlat.main(["listen", endpoint, "--duration", "0.2", *options]) == 1
        assert f"nothing came from {endpoint}: nobody listens there" in capsys.readouterr().err


def tapped(speaker: Speaker, *said: tuple[str, Any, int]) -> list[Tapped]:
    heard: list[Tapped] = []
    done = threading.Event()

    def hear(item: Tapped) -> None:
        heard.append(item)
        if len(heard) == len(said):
            done.set()

    tap = Tap(speaker.endpoint, clock=SystemClock())
    tap.start(hear)
    try:
        speaker.wait_for_listener()
        for topic, payload, sequence in said:
            speaker.say(topic, payload, sequence=sequence)
        assert done.wait(PATIENCE_S)
    finally:
        tap.stop()
    return heard


def test_figures_of_an_interval(speaker: Speaker) -> None:
    heard = tapped(speaker, *[("a", np.zeros(10), sequence) for sequence in (0, 1, 5)])
    figures = TopicFigures(heard[0])
    for item in heard:
        figures.add(item)
    row = dict(zip(listen._TITLES, figures.row(2.0), strict=True))
    assert (row["Hz"], row["seq"], row["lost"], row["content"]) == ("1.5", "5", "3", "float64[10]")
    median, most = map(float, row["age p50/max ms"].split("/"))
    assert 0.0 <= median <= most
    figures.ages_ms = [-3.5, -2.5, -2.0]
    assert figures.row(2.0)[5] == "clock ahead 2.5"
    figures.begin_anew()
    assert table({"a": figures}, 1.0)[1].split()[3:] == ["0.0", "-", "-", "5", "0"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["tcp://127.0.0.1:1", "--count", "0"], ["tcp://127.0.0.1:1", "--interval", "-1"]],
)
def test_wrong_command_lines_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        lowlat.main(["listen", *arguments])
    assert exit_code.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "expected an address like"),
        (["tcp://127.0.0.1:1", "--key", "x"], "expected --key and --server-key together"),
        (["tcp://127.0.0.1:1", "@x"], "that do not begin with '@'"),
    ],
)
def test_what_cannot_work_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lowlat.main(["listen", *arguments]) == 2
    assert words in capsys.readouterr().err
