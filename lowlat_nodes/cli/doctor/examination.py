# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the checks of a run have in common: the environment, the time that is left, their child processes."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_LOGGED = re.compile(r"\A\[[A-Z]+\] \[[0-9.]+\] \[[\w.]+\]: ")

LONGEST_S = 28.0
"""A run ends after this, whatever hangs."""


@dataclass(frozen=True)
class Answer:
    """What a child process said.

    Attributes:
        code: Its exit code; negative for the signal that ended it, None where it had to be killed.
        out: Its standard output.
        err: Its standard error.
    """

    code: int | None
    out: str
    err: str

    @property
    def reason(self) -> str:
        """The last line of what it complained about, on one line."""
        if self.code is None:
            return "it did not end in time"
        return last_line(self.err) or f"it ended with {self.code}"


@dataclass(frozen=True)
class Examination:
    """One run.

    Attributes:
        environment: Of the shell that the user works in.
        ends_s: When the run must be over, CLOCK_MONOTONIC.
        images: Whether images are sent to measure what DDS loses.
        offset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC when the run began.
    """

    environment: Mapping[str, str]
    ends_s: float = field(default_factory=lambda: time.monotonic() + LONGEST_S)
    images: bool = True
    offset_ns: int = field(default_factory=lambda: time.time_ns() - time.monotonic_ns())

    def left_s(self, at_most: float = LONGEST_S) -> float:
        """Return how long something may still take."""
        return max(0.1, min(at_most, self.ends_s - time.monotonic()))

    def ask(
        self, argv: Sequence[str], at_most: float, environment: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a program and return what it said; it is killed when its time is over.

        Raises:
            OSError: If it cannot be started.
        """
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=self.left_s(at_most),
                env=dict(self.environment if environment is None else environment),
            )
        except subprocess.TimeoutExpired as error:
            return Answer(None, _text(error.stdout), _text(error.stderr))
        return Answer(done.returncode, _text(done.stdout), _text(done.stderr))


def last_line(text: str) -> str:
    """Return the last line that says something, without level, time and name where rcutils logged it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _LOGGED.sub("", lines[-1]) if lines else ""


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
