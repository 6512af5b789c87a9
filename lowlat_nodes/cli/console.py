# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Lines of several programs on one terminal, pipe or file, whose reader may sleep."""

from __future__ import annotations

import os
import select

_PIECE = 4096  # PIPE_BUF: a pipe that polls as writable takes this much without waiting
_PATIENCE_MS = 50
_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)


class Console:
    """Writes whole lines with the name of their author and never waits for a reader for long.

    A terminal that was paused and a pipe that nobody reads would otherwise fill up and, through our own
    pipes, hold up the nodes that write. Lines that find no room are dropped and counted, and the count is
    written as soon as there is room again. A reader that has gone is no reason to stop.

    Args:
        fd: Where to write.
        colour: Whether names are coloured.
    """

    def __init__(self, fd: int, *, colour: bool = False) -> None:
        self.dropped = 0
        self._fd = fd
        self._colour = colour
        self._codes: dict[str, int] = {}
        self._open = True
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def write(self, author: str, line: str) -> None:
        """Write one line.

        Args:
            author: Written before the line, in brackets.
            line: The text, without its line end.
        """
        if not self._open:
            return
        if not self._has_room():
            self.dropped += 1
            return
        if self.dropped:
            note = f"{self.dropped} lines were dropped because nobody read them\n"
            self.dropped = 0
            self._send(note)
        self._send(f"{self._label(author)} {line}\n")

    def _label(self, author: str) -> str:
        if not self._colour:
            return f"[{author}]"
        code = self._codes.setdefault(author, _COLOURS[len(self._codes) % len(_COLOURS)])
        return f"\x1b[{code}m[{author}]\x1b[0m"

    def _has_room(self) -> bool:
        # Once a line was dropped, the next ones do not wait again.
        return bool(self._poll.poll(0 if self.dropped else _PATIENCE_MS))

    def _send(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        try:
            while data and self._poll.poll(_PATIENCE_MS):
                data = data[os.write(self._fd, data[:_PIECE]) :]
        except OSError:
            self._open = False
