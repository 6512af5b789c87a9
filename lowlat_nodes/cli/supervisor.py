# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps programs running: starts them, restarts what crashes, stops them in order, leaves none behind."""

from __future__ import annotations

import contextlib
import enum
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lowlat_nodes.cli.console import Console
from lowlat_nodes.nodes.child import die_with_parent

AUTHOR = "lowlat up"

# EX_CONFIG of <sysexits.h>: the program says that starting it again will not help.
_EXIT_REFUSED = os.EX_CONFIG
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDED_AS_TOLD = frozenset({0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM})
_STEPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

_GROUP_POLL_S = 0.05
_READ = 1 << 16
_LONGEST_LINE = 1 << 14
_LAST_LINES = 15


@dataclass(frozen=True)
class Command:
    """A program to keep running.

    Attributes:
        name: What it is called in messages.
        argv: The program and its arguments.
        environment: All of its environment.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class RestartPolicy:
    """When a crashed program is started again.

    Attributes:
        limit: How many crashes within the window are followed by a restart; one more and it is given up.
        window_s: The window.
        first_delay_s: Delay of the first restart; each further one within the window waits twice as long.
        longest_delay_s: Bound of the delay.
    """

    limit: int = 5
    window_s: float = 60.0
    first_delay_s: float = 0.5
    longest_delay_s: float = 10.0


class Backoff:
    """Counts the crashes of one program and says when to start it again."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._crashes: deque[float] = deque()

    def crashed(self, now_s: float) -> float | None:
        """Count a crash and return the delay of the restart in seconds, None to give up."""
        self._crashes.append(now_s)
        while now_s - self._crashes[0] > self._policy.window_s:
            self._crashes.popleft()
        recent = len(self._crashes)
        if recent > self._policy.limit:
            return None
        return min(self._policy.first_delay_s * 2.0 ** (recent - 1), self._policy.longest_delay_s)


class State(enum.Enum):
    """Where a program is."""

    RUNNING = "running"
    CLEARING = "clearing"  # it has ended, processes that it started have not
    WAITING = "waiting"  # for its restart
    FINISHED = "finished"  # ended by itself with exit code 0
    STOPPED = "stopped"  # ended as told
    KILLED = "killed"  # had to be killed, or failed while it stopped
    FAILED = "failed"  # given up

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {State.RUNNING, State.CLEARING, State.WAITING}


@dataclass(frozen=True)
class Outcome:
    """How a program fared.

    Attributes:
        state: finished, stopped, killed or failed.
        restarts: How often it was started again.
        exit_code: Of its last run; negative for the signal that ended it, None if it never ran.
        uptime_s: How long it ran, over all runs.
    """

    state: str
    restarts: int
    exit_code: int | None
    uptime_s: float

    @property
    def clean(self) -> bool:
        """Whether it ended as it should."""
        return self.state in {State.FINISHED.value, State.STOPPED.value}


class Supervisor:
    """Runs programs side by side until all have ended or a signal says stop.

    Each program leads a session and process group of its own, and the kernel kills it when this process ends,
    however that happens. One thread does everything and never waits for a program; it must be the main one.

    A stop sends SIGINT to each program, SIGTERM after the grace time and SIGKILL after another one; a further
    SIGINT or SIGTERM to us skips to the next step. What a program leaves in its process group has the grace
    time to end by itself and is killed then; no program is started again before that.

    Args:
        commands: The programs; names are unique.
        policy: When to restart.
        console: Gets what the programs write to standard output and standard error, and what happens to them.
        grace_s: The grace time.
        stop_on_failure: Whether a program that is given up stops all others.
        after_run: Called after each end of a program, before it is started again.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        policy: RestartPolicy,
        console: Console,
        *,
        grace_s: float = 5.0,
        stop_on_failure: bool = False,
        after_run: Callable[[], object] = lambda: None,
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._stop_on_failure = stop_on_failure
        self._after_run = after_run
        self._console = console
        self._programs = [_Program(command, policy, console, grace_s, self._selector) for command in commands]
        self._stopping = False

    def run(self) -> dict[str, Outcome]:
        """Start the programs, keep them running, and return how each fared once all have ended."""
        with self._signals():
            for program in self._programs:
                program.start()
            while not all(program.state.ended for program in self._programs):
                self._turn()
        return {program.name: program.outcome() for program in self._programs}

    def _turn(self) -> None:
        due = min(program.due_s for program in self._programs)
        timeout_s = None if due == float("inf") else max(0.0, due - time.monotonic())
        for key, _ in self._selector.select(timeout_s):
            key.data()
        for program in self._programs:
            if program.turn():
                self._after_run()
        failed = any(program.state is State.FAILED for program in self._programs)
        if failed and self._stop_on_failure and not self._stopping:
            self._console.write(AUTHOR, "stopping the others")
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for program in self._programs:
            program.stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into input of the loop."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # SIGTSTP: asleep after Ctrl-Z, we would leave the nodes to full pipes.
        numbers = (*_STOP_SIGNALS, signal.SIGCHLD, signal.SIGTSTP)
        former = {number: signal.signal(number, lambda *_: None) for number in numbers}
        former_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._on_signals(reader))
        try:
            yield
        finally:
            self._selector.unregister(reader)
            signal.set_wakeup_fd(former_fd)
            for number, handler in former.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _on_signals(self, reader: int) -> None:
        for number in os.read(reader, 4096):
            if number in _STOP_SIGNALS:
                if not self._stopping:
                    self._console.write(AUTHOR, f"{signal.Signals(number).name}: stopping")
                self._stop()


class _Program:
    """One program through all of its runs."""

    def __init__(
        self,
        command: Command,
        policy: RestartPolicy,
        console: Console,
        grace_s: float,
        selector: selectors.BaseSelector,
    ) -> None:
        self.name = command.name
        self.state = State.WAITING
        self.due_s = float("inf")
        self._command = command
        self._policy = policy
        self._backoff = Backoff(policy)
        self._console = console
        self._grace_s = grace_s
        self._selector = selector
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        self._partial = b""
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._steps_taken = 0
        self._stop_requested = False
        self._runs = 0
        self._exit_code: int | None = None
        self._uptime_s = 0.0
        self._started_s = 0.0
        self._clear_until_s = 0.0

    def outcome(self) -> Outcome:
        return Outcome(self.state.value, max(0, self._runs - 1), self._exit_code, round(self._uptime_s, 3))

    def start(self) -> None:
        parent = os.getpid()
        try:
            # The preexec_fn is safe because this process has one thread.
            self._process = subprocess.Popen(
                self._command.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._command.environment,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._say(f"cannot be started: {error}")
            self.state = State.FAILED
            return
        self._runs += 1
        self._started_s = time.monotonic()
        self._steps_taken = 0
        self._last_lines.clear()
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._selector.register(self._output, selectors.EVENT_READ, self._read)
        self.state, self.due_s = State.RUNNING, float("inf")
        self._say(f"started (pid {self._process.pid})")

    def stop(self) -> None:
        """Take the next step towards the end."""
        self._stop_requested = True
        if self.state is State.WAITING:
            self.state, self.due_s = State.FAILED, float("inf")
        elif self.state is State.RUNNING:
            self._take_step()
        elif self.state is State.CLEARING and self._steps_taken:
            self._kill_group()

    def turn(self) -> bool:
        """Do what is due; return whether a run has just come to its end."""
        was_alive = self.state in {State.RUNNING, State.CLEARING}
        if self.state is State.RUNNING and self._has_exited():
            self._on_exit()
        elif time.monotonic() >= self.due_s:
            due = {State.RUNNING: self._take_step, State.CLEARING: self._clear, State.WAITING: self.start}
            due[self.state]()
        return was_alive and self.state not in {State.RUNNING, State.CLEARING}

    def _take_step(self) -> None:
        assert self._process is not None
        step = _STEPS[min(self._steps_taken, len(_STEPS) - 1)]
        if self._steps_taken:
            self._say(f"still running, sending {step.name}")
        self._steps_taken += 1
        self._process.send_signal(step)
        self.due_s = time.monotonic() + self._grace_s if step is not signal.SIGKILL else float("inf")

    def _has_exited(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def _on_exit(self) -> None:
        assert self._process is not None
        now_s = time.monotonic()
        self._exit_code = self._process.returncode
        self._uptime_s += now_s - self._started_s
        self._clear_until_s = now_s + self._grace_s
        self.state = State.CLEARING
        self._clear()

    def _clear(self) -> None:
        """Go on once nothing of the process group is left, by force after the grace time."""
        assert self._process is not None
        now_s = time.monotonic()
        if _group_exists(self._process.pid) and now_s < self._clear_until_s:
            self.due_s = now_s + _GROUP_POLL_S
            return
        self._kill_group()
        self._close_output()
        self.due_s = float("inf")
        if self._stop_requested:
            self._conclude_stop()
        else:
            self._conclude_run(now_s)

    def _kill_group(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _conclude_stop(self) -> None:
        as_told = self._steps_taken < len(_STEPS) and self._exit_code in _ENDED_AS_TOLD
        self.state = State.STOPPED if as_told else State.KILLED
        self._say(
            f"stopped ({self._exit_words()})" if as_told else f"did not stop cleanly: {self._exit_words()}"
        )

    def _conclude_run(self, now_s: float) -> None:
        if self._exit_code == 0:
            self.state = State.FINISHED
            self._say("finished")
            return
        delay_s = None if self._exit_code == _EXIT_REFUSED else self._backoff.crashed(now_s)
        if delay_s is not None:
            self.state, self.due_s = State.WAITING, now_s + delay_s
            self._say(f"crashed: {self._exit_words()}; restart in {delay_s:g} s")
            return
        self.state = State.FAILED
        if self._exit_code == _EXIT_REFUSED:
            self._say(f"refused its configuration ({self._exit_words()}); starting it again would not help")
        else:
            limit = f"more than {self._policy.limit} crashes in {self._policy.window_s:g} s"
            self._say(f"given up: {self._exit_words()}, {limit}; its last lines:")
            for line in self._last_lines:
                self._say(f"  {line}")

    def _exit_words(self) -> str:
        code = self._exit_code
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def _read(self) -> None:
        """Hand on what the program has written, line by line."""
        try:
            data = os.read(self._output, _READ)
        except BlockingIOError:
            return
        if not data:
            self._close_output()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LONGEST_LINE:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._print(line)

    def _close_output(self) -> None:
        """Hand on the rest and close."""
        if self._output < 0:
            return
        self._selector.unregister(self._output)
        with contextlib.suppress(BlockingIOError):
            self._partial += os.read(self._output, _READ)
        for line in self._partial.splitlines():
            self._print(line)
        self._partial = b""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._output = -1

    def _print(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self._last_lines.append(text)
        self._console.write(self.name, text)

    def _say(self, text: str) -> None:
        self._console.write(AUTHOR, f"{self.name}: {text}")


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
