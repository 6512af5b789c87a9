# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions and answers between processes, without a word about sockets.

Whoever asks holds a `Requester` that somebody else made; whoever answers is a `Responder` that somebody else
serves. What passes between them is nested plain data: dicts with text keys, lists, text, numbers, bool, None
and NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from lowlat_nodes.stream.errors import LowlatError

_LONGEST_TEXT = 1000  # characters of a foreign message that are worth showing


def foreign_text(text: str) -> str:
    """Return text from outside as it may be shown: its beginning and end, without control characters."""
    head, tail = text[: _LONGEST_TEXT // 2], text[_LONGEST_TEXT // 2 :][-_LONGEST_TEXT // 2 :]
    return " ".join("".join(c if c.isprintable() else " " for c in head + tail).split())


class RequestError(LowlatError):
    """A request has no usable answer; it is counted under `reason`, and the next one may have."""

    reason: ClassVar[str]


class RequestLate(RequestError):
    """There was no answer by the deadline."""

    reason = "late"


class ServerGone(RequestError):
    """There is no connection to the server; told within milliseconds where the host says so."""

    reason = "server_gone"


class AnswerRefused(RequestError):
    """An answer came that cannot be used: malformed, too large, not finite or of another shape."""

    reason = "answer_refused"


class ServerError(RequestError):
    """The server says that it failed.

    Args:
        text: What it says, from outside; cut short, and without control characters.
    """

    reason = "server_error"

    def __init__(self, text: str) -> None:
        super().__init__(f"the server failed: {foreign_text(text) or 'it does not say why'}")


class RequestRefused(LowlatError):
    """A request does not fit; the text is for the client and says what was expected and what came."""


class Requester(Protocol):
    """Asks one server; used by one thread."""

    def describe(self) -> Mapping[str, Any]:
        """Return what the server says of itself, which may be nothing; connects if need be.

        Raises:
            RequestError: If the server cannot be asked.
        """
        ...

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> Mapping[str, Any]:
        """Ask and wait for the answer to this very request.

        Args:
            observation: Nested plain data.
            deadline_ns: CLOCK_MONOTONIC time at which the answer is of no use any more.

        Raises:
            RequestLate: If there was no answer by then.
            ServerGone: If there is no connection.
            AnswerRefused: If the answer cannot be decoded.
            ServerError: If the server failed.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; nothing may be asked afterwards."""
        ...


class Responder(Protocol):
    """Answers requests; used by one thread."""

    def describe(self) -> Mapping[str, Any]:
        """Return what clients should know before they ask; plain data."""
        ...

    def respond(self, request: Mapping[str, Any], client: str = "") -> Mapping[str, Any]:
        """Return the answer to a request.

        Args:
            request: As it came.
            client: Who asks, as far as the transport can tell: its key, or the address of its machine.

        Raises:
            RequestRefused: If the request does not fit.
        """
        ...

    def reset(self) -> None:
        """Begin anew, as at the start of an episode."""
        ...


class Connect(Protocol):
    """Makes requesters; injected where sockets must not be known."""

    def __call__(
        self, protocol: str, address: str, *, token: str = "", key_file: str = "", server_key_file: str = ""
    ) -> Requester:
        """Return a requester for one server; it need not be there yet.

        Args:
            protocol: Its name.
            address: Where the server is.
            token: What the server wants to know, empty for nothing.
            key_file: Keys of this client, by name or secret file; empty for a connection in the clear.
            server_key_file: Public key that the server must have, or its name or file; goes with `key_file`.

        Raises:
            ConfigurationError: If the protocol is unknown, or the rest does not fit it.
        """
        ...


class Spawn(Protocol):
    """Makes requesters for processes of their own; injected where sockets must not be known."""

    def __call__(self, command: Sequence[str], *, load_timeout_ns: int) -> Requester:
        """Return a requester for a process; it need not run yet.

        Args:
            command: The program and its arguments.
            load_timeout_ns: How long it may take until it can be asked.
        """
        ...
