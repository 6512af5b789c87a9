# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energy show`: live from a board and over ZeroMQ, as tables, JSON, CSV and a picture."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "transport" / "zmq"))
sys.path.insert(0, str(Path(__file__).parent))

from energy_host import host
from speaker import PATIENCE_S, speaking

from lowlat_nodes.cli import energy_history
from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.cli.energy_source import RemoteSource
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.folder import VARIABLE
from lowlat_nodes.energy.plain import to_plain
from lowlat_nodes.stream.payload import Record

PATIENTLY = ["--wait", str(PATIENCE_S)]


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """An energy folder of this test alone."""
    folder = tmp_path / "pages"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(VARIABLE, str(folder))
    return Board(folder)


@pytest.fixture
def sampling(board: Board) -> Iterator[None]:
    """Publish new figures again and again."""
    ended = threading.Event()

    def publish() -> None:
        second = 0
        while not ended.wait(0.05):
            board.publish(host(second))
            second += 1

    thread = threading.Thread(target=publish)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.mark.usefixtures("sampling")
def test_the_tables_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["energy", "show", "--once", *PATIENTLY]) == 0
    out = capsys.readouterr().out
    assert "energy of robot1" in out
    assert "/detector_node" in out
    assert "no driver" not in out


@pytest.mark.usefixtures("sampling")
def test_why_meters_are_missing_is_told_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["energy", "show", "--once", "--why", *PATIENTLY]) == 0
    assert "nvml: no driver: install one" in capsys.readouterr().out


@pytest.mark.usefixtures("board")
def test_without_a_sampler_it_says_what_to_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lowlat.main(["energy", "show", "--once", "--wait", "0.2"]) == 1
    assert "start `lowlat energyd` or energy_node" in capsys.readouterr().err


@pytest.mark.usefixtures("sampling")
def test_json_lines_csv_and_a_picture_of_the_same_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    csv, svg = tmp_path / "out" / "energy.csv", tmp_path / "energy.svg"
    arguments = ["energy", "show", "--json", "--for", "5", "--csv", str(csv), "--plot", str(svg)]
    assert lowlat.main(arguments) == 0
    moments = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert moments
    assert all(moment["meters"][0]["watts"] == 30.0 for moment in moments)
    rows = energy_history.read(csv)
    assert sorted({row.time_ns for row in rows}) == [moment["time_ns"] for moment in moments]
    assert "energy of robot1" in svg.read_text(encoding="utf-8")

    again = tmp_path / "again.svg"
    assert lowlat.main(["energy", "show", "--from", str(csv), "--plot", str(again)]) == 0
    assert again.read_bytes() == svg.read_bytes()


@pytest.mark.usefixtures("sampling")
def test_a_signal_ends_it_with_what_there_is(tmp_path: Path) -> None:
    csv = tmp_path / "energy.csv"
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "energy", "show", "--csv", str(csv)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60.0
        while time.monotonic() < deadline_s and not (csv.exists() and csv.stat().st_size > 1000):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 0
    assert energy_history.read(csv)
    assert "energy of robot1" in output


@pytest.mark.usefixtures("board")
def test_another_host_over_zeromq(capsys: pytest.CaptureFixture[str]) -> None:
    with speaking() as speaker:

        def talk() -> None:
            speaker.wait_for_listener("energy")
            speaker.say("energy", Record(to_plain(host(host="robot2")), b""))

        thread = threading.Thread(target=talk)
        thread.start()
        code = lowlat.main(["energy", "show", "--once", *PATIENTLY, "--zmq", speaker.endpoint])
        thread.join()
    assert code == 0
    assert "energy of robot2" in capsys.readouterr().out


@pytest.mark.usefixtures("board")
def test_something_else_on_the_topic_is_told() -> None:
    with speaking() as speaker:

        def talk() -> None:
            speaker.wait_for_listener("energy")
            speaker.say("energy", Record({"host": "x\x1b[2J", "meters": 3}, b""))

        thread = threading.Thread(target=talk)
        thread.start()
        source = RemoteSource(speaker.endpoint, None)
        deadline_s = time.monotonic() + PATIENCE_S
        while "something else" not in source.why() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        thread.join()
        assert "sends something else on 'energy': figures: expected the field 'time_ns'" in source.why()
        source.close()


@pytest.mark.parametrize(
    "arguments", [["--from", "x.csv"], ["--from", "x.csv", "--plot", "x.svg", "--json"], ["--for", "0"]]
)
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lowlat.main(["energy", "show", *arguments])
    assert "expected" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_refused(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert lowlat.main(["energy", "show", "--csv", str(tmp_path / "file" / "x.csv")]) == 2
    assert "cannot write" in capsys.readouterr().err
