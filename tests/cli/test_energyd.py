# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energyd` as a user runs it, on a fake sysfs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import VARIABLE
from lowlat_nodes.energy.plain import from_plain
from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.transport.zmq.subscriber import Subscriber

T = TypeVar("T")

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Give this process its handlers back: energyd leaves none, as its process ends with it."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The energy folder of a host that is this test alone, with an empty fake sysfs."""
    energy, sysfs = tmp_path / "energy", tmp_path / "sys"
    for path in (energy, sysfs):
        path.mkdir(mode=0o700)
    monkeypatch.setenv(VARIABLE, str(energy))
    monkeypatch.setenv("LOWLAT_SYSFS_ROOT", str(sysfs))
    return energy


@contextmanager
def energyd(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A running `lowlat energyd`, from its first line on."""
    with subprocess.Popen(
        [sys.executable, "-m", "lowlat_nodes.cli.main", "energyd", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str], begin: str) -> str:
    """Return the next line that begins so."""
    assert process.stdout is not None
    found = next((text for text in process.stdout if text.startswith(begin)), "")
    assert found, process.stderr and process.stderr.read()
    return found.strip()


def until(get: Callable[[], T | None]) -> T:
    """Return the first thing that is something."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        found = get()
        if found is not None:
            return found
        time.sleep(0.05)
    pytest.fail("waited in vain")


def test_once_says_what_is_measured_and_what_is_missing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lowlat.main(["energyd", "--once"]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0] == f"samples 1 meter for the nodes of {folder}"
    assert any(text.startswith("missing: rapl: ") for text in said)
    (model,) = [text for text in said if text.startswith("model/cpu")]
    assert "(fake: " in model
    assert "modelled" in model
    assert list(folder.glob("figures*")) == []


def test_no_model_where_none_is_wanted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["energyd", "--once", "--model-w", "0"]) == 0
    assert "model/cpu" not in capfd.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nodes_find_their_figures_until_a_signal(folder: Path, number: signal.Signals) -> None:
    with energyd() as process:
        line(process, "samples")
        tally = Tally("/node", "action", folder)
        tally.done(3)

        def counted() -> Figures | None:
            figures = Board(folder).read()
            return figures if figures is not None and figures.node("/node") is not None else None

        figures = until(counted)
        node = figures.node("/node")
        assert node is not None
        assert (node.results, node.unit) == (3, "action")
        assert [(meter.name, meter.kind) for meter in figures.meters] == [("model/cpu", Kind.MODELLED)]
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
        tally.close()
    assert Board(folder).read() is None


def test_a_second_one_is_refused_and_told_who_the_first_is(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with energyd() as process:
        line(process, "samples")
        assert lowlat.main(["energyd", "--once"]) == 2
        assert f"process {process.pid} (energyd) samples for {folder} already" in capfd.readouterr().err
        os.kill(process.pid, signal.SIGKILL)
    assert lowlat.main(["energyd", "--once"]) == 0  # whom nobody stops any more


def test_the_topic_energy_and_heartbeats_on_zeromq(folder: Path) -> None:
    heard: list[Message] = []
    with energyd("--zmq", "tcp://127.0.0.1:0") as process:
        endpoint = line(process, "publishes energy at ").rpartition(" ")[2]
        subscriber = Subscriber(endpoint, {"energy": "energy"}, clock=SteadyClock())
        subscriber.start(heard.append)
        try:
            figures = from_plain(until(lambda: heard[-1] if heard else None).payload.fields)
            assert figures.meters[0].kind is Kind.MODELLED
            states = until(lambda: [one for one in subscriber.peer.states(time.monotonic_ns()) if one.said])
            assert [state.name for state in states] == ["energyd"]
        finally:
            subscriber.stop()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.alerts
def test_figures_for_prometheus(folder: Path) -> None:
    pytest.importorskip("prometheus_client")
    with energyd("--metrics", "0") as process:
        where = line(process, "figures for Prometheus at ").rpartition(" ")[2]

        def modelled() -> str | None:
            with urllib.request.urlopen(f"http://{where}", timeout=PATIENCE_S) as answer:
                text = str(answer.read().decode())
            return text if "lowlat_energy_modelled_joules_total{" in text else None

        assert 'meter="model/cpu"' in until(modelled)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_pages_that_nobody_can_read_are_said(folder: Path) -> None:
    (folder / "bad.tally").write_bytes(b"bad")
    with energyd("--once") as process:
        _, warned = process.communicate(timeout=PATIENCE_S)
        assert warned == "warning: passed over: wrong size (1)\n"
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model-w", "0.1"], "at least model_idle_w"),
        (["--allow", "somebody"], "expected --key with --allow"),
        (["--zmq", "tcp://0.0.0.0:0"], "key"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert lowlat.main(["energyd", *options]) == 2
    assert message in capfd.readouterr().err
    assert list(folder.glob("figures*")) == []


def test_a_rate_that_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        lowlat.main(["energyd", "--rate", "0"])
    assert "expected 1 to 100" in capfd.readouterr().err
