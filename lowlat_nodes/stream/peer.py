# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a process at the other end of a link: is it there, and does its loop go round?

========== ============================================================================================
never seen the link never stood
connected  the link stands, and no heartbeat has come over it yet: a sender may have none
running    its loop works on messages
idle       its loop waits for messages
silent     the link stands, and no heartbeat has come for three of the periods that the last one announced
stopped    its loop has ended, and said so (`finished`: there is nothing left to do)
gone       the link stood before, and does not now
========== ============================================================================================

Anything else is what the loop says that it waits for. Times are those of the receiver's steady clock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lowlat_nodes.stream.heartbeat import FINISHED, IDLE, MISSED, RUNNING, STOPPED, Heartbeat

NEVER_SEEN, CONNECTED, SILENT, GONE = "never seen", "connected", "silent", "gone"

_UNTROUBLED = frozenset({CONNECTED, RUNNING, IDLE, STOPPED, FINISHED})
_LOOPS = 16  # of one process


@dataclass(frozen=True, slots=True)
class PeerState:
    """A loop of a process at one moment, or the process where none of its loops was heard.

    Attributes:
        name: Of the loop, as its heartbeats say it; empty while none was heard.
        state: See above.
        for_ns: For how long it has been so.
        sequence: How many messages it had finished by its last heartbeat.
        latency_ns: Receipt to publication of its newest result then, 0 without one.
        rate_hz: Messages finished between its last two heartbeats, NaN before.
        said: The state that it told in its last heartbeat, empty without one.
        trouble: Why the link does not stand, where that is known.
    """

    name: str
    state: str
    for_ns: int
    sequence: int = 0
    latency_ns: int = 0
    rate_hz: float = float("nan")
    said: str = ""
    trouble: str = ""

    @property
    def lost(self) -> bool:
        """Whether nothing comes from it although something should: silent, or gone."""
        return self.state in {SILENT, GONE}

    @property
    def troubled(self) -> bool:
        """Whether somebody should look at it: lost, never seen, or kept from going on."""
        return self.state not in _UNTROUBLED

    def explain(self) -> str:
        """Return the state in words, for how long it has been so, and what to do about it."""
        for_s = f"{self.for_ns * 1e-9:.1f} s"
        if self.state == SILENT:
            return (
                f"hangs: its loop has not gone round for {for_s}, though the connection stands (it was "
                f"{self.said} after {self.sequence} messages); look at its stack, or restart it"
            )
        if self.state == GONE:
            return f"gone for {for_s}: {self.trouble or 'it ended'}; start it again, or look at the network"
        if self.state == NEVER_SEEN:
            return (
                f"not seen in {for_s}: {self.trouble or 'nobody answers'}; start it, or correct the endpoint"
            )
        if self.state == CONNECTED:
            return f"connected for {for_s}; no heartbeat has come from a loop of it"
        return f"{self.state} for {for_s}"


class Peer:
    """Follows one process by its link and its heartbeats; thread-safe.

    Args:
        now_ns: The present time.

    """

    def __init__(self, now_ns: int) -> None:
        self._trouble = ""
        self._lock = threading.Lock()
        self._linked = self._seen = False
        self._link_ns = now_ns  # when the link came up, went down, or was first asked for
        self._loops: dict[str, _Loop] = {}
        self._former: set[str] = set()  # loops that nothing was heard of since the link broke

    def link_up(self, now_ns: int) -> None:
        """Take note that the link stands; a process that was gone meanwhile begins anew.

        Heartbeats have a connection of their own, over which the first one may have come before this.
        """
        with self._lock:
            if self._linked:
                return
            for name in self._former:
                del self._loops[name]
            self._former.clear()
            self._linked = self._seen = True
            self._link_ns = now_ns

    def link_down(self, now_ns: int, trouble: str = "", *, doubted: bool = False) -> None:
        """Take note that the link broke, or why it does not stand.

        Args:
            now_ns: When.
            trouble: Why, empty where nobody knows.
            doubted: It was taken down at this end to try anew, as nothing came: what the loops said last
                still counts when it stands again.
        """
        with self._lock:
            self._trouble = trouble
            if self._linked:
                self._linked, self._link_ns = False, now_ns
                self._former = set() if doubted else set(self._loops)

    def hear(self, heartbeat: Heartbeat, now_ns: int) -> None:
        """Take in a heartbeat; one that is repeated counts where it is the first of its loop."""
        with self._lock:
            former = self._loops.get(heartbeat.name)
            if heartbeat.name in self._former:
                former = None
            if heartbeat.age_ns and former is not None:
                return
            self._former.discard(heartbeat.name)
            self._loops.pop(heartbeat.name, None)
            self._loops[heartbeat.name] = _Loop.after(former, heartbeat, now_ns - heartbeat.age_ns)
            if len(self._loops) > _LOOPS:  # the one that was silent longest
                longest = next(iter(self._loops))
                del self._loops[longest]
                self._former.discard(longest)

    def patience_ns(self) -> int:
        """Return how long the link may be silent at most, 0 where no loop has another heartbeat to send."""
        with self._lock:
            periods = [loop.heartbeat.period_ns for loop in self._loops.values()]
        return MISSED * min((period for period in periods if period), default=0)

    def states(self, now_ns: int) -> list[PeerState]:
        """Return the state of each loop by name; of the process, where no loop was heard."""
        with self._lock:
            if not self._loops:
                state = CONNECTED if self._linked else GONE if self._seen else NEVER_SEEN
                return [PeerState("", state, max(0, now_ns - self._link_ns), trouble=self._trouble)]
            down_ns = None if self._linked else self._link_ns
            return [loop.state(now_ns, down_ns, self._trouble) for _, loop in sorted(self._loops.items())]


@dataclass(frozen=True, slots=True)
class _Loop:
    heartbeat: Heartbeat
    heard_ns: int
    since_ns: int
    rate_hz: float

    @classmethod
    def after(cls, former: _Loop | None, heartbeat: Heartbeat, now_ns: int) -> _Loop:
        if former is None:
            return cls(heartbeat, now_ns, now_ns, float("nan"))
        elapsed_s = (now_ns - former.heard_ns) * 1e-9
        finished = heartbeat.sequence - former.heartbeat.sequence
        rate_hz = finished / elapsed_s if elapsed_s > 0.0 and finished >= 0 else float("nan")
        same = heartbeat.state == former.heartbeat.state and not former.silent(now_ns)
        return cls(heartbeat, now_ns, former.since_ns if same else now_ns, rate_hz)

    def silent(self, now_ns: int) -> bool:
        return 0 < MISSED * self.heartbeat.period_ns < now_ns - self.heard_ns

    def state(self, now_ns: int, down_ns: int | None, trouble: str) -> PeerState:
        said = self.heartbeat.state
        if down_ns is not None:
            state, since_ns = GONE, min(down_ns, self.heard_ns) if self.silent(down_ns) else down_ns
        elif self.silent(now_ns):
            state, since_ns = SILENT, self.heard_ns
        else:
            state, since_ns = said, self.since_ns
        alive = state == said
        return PeerState(
            self.heartbeat.name,
            state,
            max(0, now_ns - since_ns),
            self.heartbeat.sequence,
            self.heartbeat.latency_ns,
            self.rate_hz if alive else 0.0,
            said,
            trouble,
        )
