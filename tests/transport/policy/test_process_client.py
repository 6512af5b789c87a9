# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that answers, and one that refuses, hangs, dies or talks nonsense; none outlives its client."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, RequestLate, ServerError, ServerGone
from lowlat_nodes.transport.policy.process_client import ProcessClient

PEER = Path(__file__).parent / "process_peer.py"
PATIENCE_S = 60.0


def in_ms(milliseconds: float) -> int:
    return time.monotonic_ns() + round(milliseconds * 1e6)


def soon() -> int:
    return in_ms(PATIENCE_S * 1e3)


@contextlib.contextmanager
def started(
    *arguments: str, load_timeout_s: float = PATIENCE_S, retry_ns: int = 0
) -> Iterator[ProcessClient]:
    """Give a client of the peer; its Python does without what this one has installed, and starts sooner."""
    client = ProcessClient(
        [sys.executable, "-S", str(PEER), *arguments],
        load_timeout_ns=round(load_timeout_s * 1e9),
        retry_ns=retry_ns,
    )
    try:
        yield client
    finally:
        client.close()


def ask(client: ProcessClient, what: str = "", deadline_ns: int = 0) -> Any:
    return client.request({"do": what, "x": np.float32([1, 2])}, deadline_ns=deadline_ns or soon())


def answered_again(client: ProcessClient) -> int:
    """Ask until there is an answer; return the process that gave it."""
    pids: list[int] = []

    def asked() -> list[int]:
        with contextlib.suppress(ServerGone):
            pids.append(ask(client)["pid"])
        return pids

    until(asked)
    return pids[0]


def test_it_says_what_it_is_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/somewhere")
    with started("serve") as client:
        assert client.describe() == {"mode": "serve", "paths": []}
        pids = set()
        for _ in range(3):
            answer = ask(client)
            assert answer["x"].tolist() == [1.0, 2.0]
            pids.add(answer["pid"])
        assert len(pids) == 1


def test_a_large_array_survives_the_way() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4 * 1200 * 1600,), np.uint8)
    with started("serve") as client:
        client.describe()
        answer = client.request({"image": image}, deadline_ns=soon())
        assert np.array_equal(answer["x"].view(np.uint8), image)


def test_a_program_that_is_not_there() -> None:
    client = ProcessClient(["/nowhere/python"], load_timeout_ns=1)
    with pytest.raises(ConfigurationError, match="cannot run '/nowhere/python': No such file"):
        client.describe()


def test_a_program_that_says_no() -> None:
    with started("refuse") as client, pytest.raises(ConfigurationError, match="expected a cat"):
        client.describe()


def test_a_program_that_ends_instead() -> None:
    with started("end") as client, pytest.raises(ServerGone, match="ended with status 5"):
        client.describe()


def test_a_program_that_is_not_ready_in_time() -> None:
    with started("sleep", load_timeout_s=0.05) as client, pytest.raises(RequestLate, match=r"within 0\.05 s"):
        client.describe()


def test_a_failure_leaves_the_process_as_it_is() -> None:
    with started("serve") as client:
        client.describe()
        before = ask(client)["pid"]
        with pytest.raises(ServerError, match=r"the camera shows \[2J a cat"):
            ask(client, "fail")
        assert ask(client)["pid"] == before


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ("die", ServerGone, "ended by SIGKILL"),
        ("exit", ServerGone, "ended with status 3"),
        ("half", ServerGone, "ended with status 0"),
        ("other", AnswerRefused, "expected the answer to request"),
        ("text", AnswerRefused, "at most"),
        ("huge", AnswerRefused, "at most"),
        ("claim", AnswerRefused, "sizes"),
        ("nan", AnswerRefused, "NaN is no number"),
    ],
)
def test_what_goes_wrong_costs_the_request_and_the_process(
    what: str, error: type[Exception], words: str
) -> None:
    with started("serve") as client:
        client.describe()
        before = ask(client)["pid"]
        with pytest.raises(error, match=words):
            ask(client, what)
        assert answered_again(client) != before


def test_a_process_that_hangs_is_replaced() -> None:
    with started("serve") as client:
        client.describe()
        before = ask(client)["pid"]
        with pytest.raises(RequestLate, match="did not answer in time"):
            ask(client, "hang", in_ms(50))
        assert answered_again(client) != before
        assert not Path(f"/proc/{before}").exists()


def test_a_process_that_does_not_listen_is_replaced() -> None:
    with started("deaf") as client:
        client.describe()
        with pytest.raises(RequestLate, match="does not take what is sent"):
            client.request({"image": np.zeros(4_000_000, np.uint8)}, deadline_ns=in_ms(50))


def test_a_second_answer_is_never_taken_for_the_next() -> None:
    with started("serve") as client:
        client.describe()
        assert ask(client, "twice")["pid"]
        with pytest.raises(AnswerRefused, match="expected the answer to request 2"):
            ask(client)
        assert answered_again(client)


def test_another_process_than_at_first_is_refused(tmp_path: Path) -> None:
    mode = tmp_path / "mode"
    mode.write_text("one")
    with started("first", str(mode)) as client:
        assert client.describe()["mode"] == "one"
        for other, error, words in (
            ("two", AnswerRefused, "another one than at configuration"),
            ("refuse", ServerGone, "expected a cat"),
        ):
            mode.write_text(other)
            with pytest.raises(ServerGone, match="SIGKILL"):
                ask(client, "die")
            assert until_raised(client, words) is error
            mode.write_text("one")
            until(lambda: raised(client) is None)


def raised(client: ProcessClient) -> Exception | None:
    try:
        ask(client)
    except (AnswerRefused, ServerGone) as error:
        return error
    return None


def until_raised(client: ProcessClient, words: str) -> type[Exception]:
    """Ask until the error says so, and return its type."""
    errors: list[Exception] = []

    def said() -> bool:
        error = raised(client)
        if error is not None:
            errors.append(error)
        return error is not None and words in str(error)

    until(said)
    return type(errors[-1])


def test_a_process_that_dies_again_and_again_is_not_started_all_the_time() -> None:
    with started("serve", retry_ns=round(10 * PATIENCE_S * 1e9)) as client:
        client.describe()
        for what in ("die", *[""] * 100):
            with pytest.raises(ServerGone, match="ended by SIGKILL"):
                ask(client, what)
        assert client.counts["starts"] == 1


def test_it_ends_with_its_client_and_its_parent(tmp_path: Path) -> None:
    with started("serve") as client:
        client.describe()
        pid = ask(client)["pid"]
    assert not Path(f"/proc/{pid}").exists()

    file = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, str(PEER), "parent", str(file)])
    until(file.exists)
    pid = int(file.read_text())
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    until(lambda: not running(pid))


def test_close_does_not_wait_for_long() -> None:
    with started("serve") as client:
        client.describe()
        with pytest.raises(RequestLate):
            ask(client, "hang", in_ms(20))
    with started("sleep") as client, pytest.raises(ServerGone, match="being started anew"):
        ask(client)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)
