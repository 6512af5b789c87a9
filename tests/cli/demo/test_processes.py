# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Real processes that end with their context, however it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lowlat_nodes.cli.demo.processes import ProcessError, Processes

OBEDIENT = "import signal, time; print('up', flush=True); time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def eventually(condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path, os.environ)


def wait_up(folder: Path, *names: str) -> None:
    for name in names:
        assert eventually(lambda name=name: bool((folder / f"{name}.log").read_text().strip()))


def test_leaving_the_context_ends_all(processes: Processes, tmp_path: Path) -> None:
    with processes:
        pids = [processes.start(name, python(OBEDIENT)).pid for name in ("one", "two")]
        wait_up(tmp_path, "one", "two")
        processes.check()

    assert not any(alive(pid) for pid in pids)


def test_an_error_inside_ends_all_and_passes_on(processes: Processes) -> None:
    pids = []

    def interrupted() -> None:
        with processes:
            pids.append(processes.start("one", python(OBEDIENT)).pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert not alive(pids[0])


def test_who_ignores_signals_is_killed(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lowlat_nodes.cli.demo.processes._GRACE_S", 0.2)
    with processes:
        pid = processes.start("stubborn", python(STUBBORN)).pid
        wait_up(tmp_path, "stubborn")

        assert processes.stop("stubborn") == {"stubborn": -signal.SIGKILL}

    assert not alive(pid)


def test_what_a_process_started_ends_with_it(processes: Processes, tmp_path: Path) -> None:
    with processes:
        processes.start("parent", python(PARENT))
        wait_up(tmp_path, "parent")
        grandchild = int((tmp_path / "parent.log").read_text())
        assert alive(grandchild)

    assert eventually(lambda: not alive(grandchild))


def test_an_early_end_is_told_with_the_last_words(processes: Processes) -> None:
    with processes:
        process = processes.start("frail", python("print('my last words'); raise SystemExit(3)"))
        process.wait()
        with pytest.raises(ProcessError, match=r"frail ended with exit code 3(.|\n)*my last words"):
            processes.check()


def test_lines_of_one_end_when_another_dies(processes: Processes) -> None:
    with processes:
        processes.start("teller", python(OBEDIENT), piped=True)
        lines = processes.lines("teller")
        assert eventually(lambda: next(lines) == "up")
        processes.start("frail", python("raise SystemExit(4)"))
        with pytest.raises(ProcessError, match="frail ended with exit code 4"):
            list(lines)


def test_lines_end_with_their_process_which_finishes_with_its_code(processes: Processes) -> None:
    with processes:
        processes.start("teller", python("print('a'); print('b'); raise SystemExit(7)"), piped=True)

        assert [line for line in processes.lines("teller") if line] == ["a", "b"]
        assert processes.finish("teller") == 7


def test_a_program_that_does_not_exist_is_told(processes: Processes) -> None:
    with processes, pytest.raises(ProcessError, match="ghost cannot be started"):
        processes.start("ghost", ["/nonexistent/program"])


def test_nothing_survives_the_kill_of_their_owner(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, time
from lowlat_nodes.cli.demo.processes import Processes
with Processes(pathlib.Path({str(tmp_path)!r}), os.environ) as processes:
    child = processes.start("child", {python(OBEDIENT)!r})
    print(child.pid, flush=True)
    time.sleep(600)
"""
    owner = subprocess.Popen(python(code), stdout=subprocess.PIPE)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    assert alive(child)

    owner.kill()
    owner.wait()
    owner.stdout.close()

    assert eventually(lambda: not alive(child))
