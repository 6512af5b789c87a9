# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks a process of another environment, which it starts, and starts anew when it dies or hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import (
    AnswerRefused,
    RequestError,
    RequestLate,
    ServerError,
    ServerGone,
    foreign_text,
)
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.policy.framed import PREFIX, Message, decode, decode_prefix, encode

_RETRY_NS = 2_000_000_000
_END_S = 2.0
_OTHER_ENVIRONMENT = ("PYTHONPATH", "PYTHONHOME")
"""What would lead an interpreter of another environment into ours, or into that of ROS."""

_STDERR = 2


class ProcessClient:
    """A `Requester` for one process, which ends with this one.

    The process is given its end of a pair of sockets as the last argument. It says what it is once it is
    ready (`description`), or that it never will be (`refused`), and then answers one request after the other
    (`answer` or `error`), in the form of `framed`. What it prints goes to our standard error.

    A process that leaves a request without an answer until its deadline counts as hung: it is killed, and the
    next request starts another one. While that one loads, requests fail at once.

    It must be made and used by the main thread: the process is killed when the thread ends that started it
    (prctl(2)).

    Args:
        command: The program and its arguments.
        load_timeout_ns: How long it may take until it says what it is.
        retry_ns: Least time from one start to the next.
    """

    def __init__(self, command: Sequence[str], *, load_timeout_ns: int, retry_ns: int = _RETRY_NS) -> None:
        self.counts = Counters()
        self._command = list(command)
        self._pause_ns = retry_ns
        self._load_timeout_ns = load_timeout_ns
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._received = bytearray()
        self._loaded = False
        self._loaded_by_ns = 0
        self._said: Mapping[str, Any] | None = None  # the first time
        self._number = 0
        self._retry_ns = 0
        self._problem = ""

    def describe(self) -> Mapping[str, Any]:
        """Start the process if need be, and return what it says of itself.

        Raises:
            ConfigurationError: If it cannot be started, or refuses.
            RequestError: If it ends or does not say anything in time.
        """
        if self._process is None:
            self._start()
        if not self._loaded:
            try:
                self._hear_description(self._loaded_by_ns)
            except RequestLate as error:
                self._end()
                seconds = self._load_timeout_ns * 1e-9
                raise RequestLate(f"{self._command[0]} was not ready within {seconds:g} s") from error
        assert self._said is not None
        return self._said

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> Mapping[str, Any]:
        """Ask and wait for the answer to this very request; see `Requester`."""
        self._revive()
        self._number += 1
        try:
            self._send(Message("request", self._number, observation), deadline_ns)
            answer = self._receive(deadline_ns)
        except RequestLate:
            self._end()
            raise
        if answer.number != self._number or answer.kind not in {"answer", "error"}:
            self._end()
            raise AnswerRefused(f"expected the answer to request {self._number}, got {answer.kind!r:.80}")
        if answer.kind == "error":
            raise ServerError(str(answer.content.get("message", "")))
        return answer.content

    def close(self) -> None:
        """End the process, which may finish what it does, but not for long."""
        if self._process is not None and self._socket is not None:
            self._socket.close()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._end()
            self._process = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name not in _OTHER_ENVIRONMENT}
        try:
            self._process = subprocess.Popen(
                [*self._command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
                env=environment,
                pass_fds=(theirs.fileno(),),
            )
        except OSError as error:
            ours.close()
            raise ConfigurationError(f"cannot run {self._command[0]!r}: {error.strerror}") from error
        finally:
            theirs.close()
        self.counts.add("starts")
        self._socket = ours
        self._received.clear()
        self._loaded = False
        now_ns = time.monotonic_ns()
        self._loaded_by_ns, self._retry_ns = now_ns + self._load_timeout_ns, now_ns + self._pause_ns

    def _revive(self) -> None:
        """See to a process that has said what it is.

        Raises:
            ServerGone: If it is not that far.
            AnswerRefused: If it says something else than the first one.
        """
        now_ns = time.monotonic_ns()
        try:
            if self._process is None:
                if now_ns < self._retry_ns:
                    raise ServerGone(self._problem)
                self._start()
            if not self._loaded:
                self._hear_description(now_ns)
        except ConfigurationError as error:
            raise self._gone(str(error)) from error
        except RequestLate as error:
            if now_ns > self._loaded_by_ns:
                self._end()
            raise self._gone(f"{self._command[0]} is being started anew") from error

    def _hear_description(self, deadline_ns: int) -> None:
        message = self._receive(deadline_ns)
        if message.kind == "refused":
            self._end()
            raise ConfigurationError(foreign_text(str(message.content.get("message", ""))))
        if message.kind != "description":
            self._end()
            raise AnswerRefused(f"expected a description, got {message.kind!r:.80}")
        if self._said is not None and message.content != self._said:
            self._end()
            raise AnswerRefused("the process is another one than at configuration; configure anew")
        self._said = message.content
        self._loaded = True

    def _send(self, message: Message, deadline_ns: int) -> None:
        assert self._socket is not None
        try:
            for part in encode(message):
                self._socket.settimeout(_left_s(deadline_ns))
                self._socket.sendall(part)
        except (TimeoutError, BlockingIOError) as error:
            raise RequestLate(f"{self._command[0]} does not take what is sent") from error
        except OSError as error:
            raise self._ended() from error

    def _receive(self, deadline_ns: int) -> Message:
        """Return the next message; what came of it by the deadline is kept."""
        try:
            header, body = decode_prefix(self._first(PREFIX.size, deadline_ns))
            data = self._first(PREFIX.size + header + body, deadline_ns)
            self._received.clear()  # nothing more is due
            return decode(data[PREFIX.size : PREFIX.size + header], data[PREFIX.size + header :])
        except WireError as error:
            self._end()
            raise AnswerRefused(f"{self._command[0]}: {error}") from error

    def _first(self, size: int, deadline_ns: int) -> bytes:
        """Return the first bytes that have come, once there are that many."""
        assert self._socket is not None
        while len(self._received) < size:
            try:
                self._socket.settimeout(_left_s(deadline_ns))
                data = self._socket.recv(min(size - len(self._received), 1 << 20))
            except (TimeoutError, BlockingIOError) as error:
                raise RequestLate(f"{self._command[0]} did not answer in time") from error
            except OSError as error:
                raise self._ended() from error
            if not data:
                raise self._ended()
            self._received += data
        return bytes(self._received[:size])

    def _ended(self) -> RequestError:
        assert self._process is not None
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            status = 0
        self._end()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return self._gone(f"{self._command[0]} ended {how}; its output says why")

    def _gone(self, problem: str) -> ServerGone:
        """Return the error of all requests until the next start."""
        self._problem = problem
        return ServerGone(problem)

    def _end(self) -> None:
        """Kill the process, and wait until what it held is free."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None
        self._received.clear()


def _left_s(deadline_ns: int) -> float:
    return max(deadline_ns - time.monotonic_ns(), 0) * 1e-9
