# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kills, stops and cuts, one after another, and how long each time until messages flow again.

Three things run all the while: a stream (publisher, subscriber), calls (caller, server), and numbers of which
none may be lost (router, which is a `WorkSink`, and workers). Each role is a process on a host of its own, a
network namespace, with keys; images go through shared memory beside that. Subscriber, caller and worker have
a second of their kind that nothing is done to: those must not grow.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import zmq.auth

from lowlat_nodes.benchmarks._transport_hosts import Hosts, NotPermitted
from lowlat_nodes.benchmarks._transport_roles import numbers_in
from lowlat_nodes.benchmarks._transport_stream_roles import KINDS
from lowlat_nodes.transport.shm import stale

ROLES: Final = ("publisher", "subscriber", "server", "caller", "router", "worker")
"""What faults happen to."""

WITNESSES: Final = ("subscriber2", "caller2", "worker2")
FAULTS: Final = ("kill", "stop", "cut")
BOUND_S: Final = 2.0
"""Longest time from the end of a cause to messages that flow again."""

_WAIT_S: Final = 20.0
_LASTS_S: Final = (0.2, 2.5)
_NUMBERS_HZ: Final = 500.0
_CALLS_HZ: Final = 50.0
_WARM_UP_S: Final = 20.0  # by then a worker remembers as many numbers as it ever will
_LIFE_S: Final = 40.0  # lives from this length on are looked at
_END_S: Final = 3.0
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") * 1e-6


class Flow:
    """The file that a role appends to, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._newest: dict[str, int] = {}

    def newest(self, kind: str = "") -> int:
        """Return the newest time of a kind of lines in ns: of a message's origin, an answer, a number."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                *lines, rest = file.read().split(b"\n")
                self._read = file.tell() - len(rest)
            for line in lines:
                first, *times = line.split()
                name = first.decode() if not first.isdigit() else ""
                self._newest[name] = max(self._newest.get(name, 0), int(times[0]))
        return self._newest.get(kind, 0)


@dataclass
class Life:
    """The memory and the descriptors of one process of a role: time in s, MB, count."""

    began_s: float
    samples: list[tuple[float, float, int]] = field(default_factory=list)

    def growth(self) -> tuple[float, int] | None:
        """Return by how much both have grown from warm-up to end; None if it was too short to tell."""
        if not self.samples or self.samples[-1][0] - self.began_s < _LIFE_S:
            return None
        warm = [sample for sample in self.samples if sample[0] - self.began_s >= _WARM_UP_S]
        few = max(1, len(warm) // 10)
        memory, descriptors = (
            statistics.median(sample[index] for sample in warm[-few:])
            - statistics.median(sample[index] for sample in warm[:few])
            for index in (1, 2)
        )
        return memory, round(descriptors)


class Role:
    """A process that is started again when it has been killed."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.lives: list[Life] = []
        self.start()

    def start(self) -> None:
        """Start the process."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.lives.append(Life(time.monotonic()))

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()

    def sample(self) -> None:
        """Note its memory and descriptors.

        Raises:
            RuntimeError: If it has ended, which none of them does by itself.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"{' '.join(self._command[-8:])} ended with {self._process.returncode}")
        proc = Path(f"/proc/{self._process.pid}")
        with contextlib.suppress(OSError):
            memory_mb = int((proc / "statm").read_text().split()[1]) * _PAGE_MB
            descriptors = len(list((proc / "fd").iterdir()))
            self.lives[-1].samples.append((time.monotonic(), memory_mb, descriptors))

    def close(self) -> None:
        """End it, so that it takes its shared memory with it."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class Fault:
    """What was done to whom, and what became of it: times in s."""

    role: str
    kind: str
    lasted_s: float
    recovery_s: float

    def __str__(self) -> str:
        return f"{self.kind} {self.role}: {self.lasted_s:.2f} s, then {self.recovery_s:.3f} s"


class Session:
    """All roles, on hosts of their own where that is permitted."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.skipped = ""
        self.hosts: Hosts | None = None
        try:
            self.hosts = Hosts((*ROLES, *WITNESSES))
            stack.callback(self.hosts.close)
        except NotPermitted as error:
            self.skipped = str(error)
        for name in ("server", "client"):
            Path(zmq.auth.create_certificates(folder, name)[1]).chmod(0o600)
        self._folder = folder
        self.committed = folder / "committed"
        names = ("subscriber", "subscriber2", "caller", "caller2", "worker", "worker2")
        self.flows = {name: Flow(folder / f"{name}.lines") for name in names}
        self._addresses = {role: self._address(role) for role in ("publisher", "server", "router")}
        self.roles: dict[str, Role] = {}
        for name in (*ROLES, *WITNESSES):
            self.roles[name] = Role([*(self.hosts.prefix(name) if self.hosts else ()), *self._command(name)])
            stack.callback(self.roles[name].close)

    def numbers(self) -> list[dict[int, int]]:
        """Return the numbers that each worker has noted."""
        return [numbers_in(self.flows[worker].path) for worker in ("worker", "worker2")]

    def flows_since(self, role: str, since_ns: int) -> bool:
        """Return whether messages that are younger have come through a role."""
        if role in {"publisher", "subscriber", "subscriber2"}:
            flow = self.flows["subscriber" if role == "publisher" else role]
            return all(flow.newest(kind) > since_ns for kind in KINDS)
        if role in {"server", "caller", "caller2"}:
            return self.flows["caller" if role == "server" else role].newest("answered") > since_ns
        workers = ("worker", "worker2") if role == "router" else (role,)
        return any(self.flows[worker].newest() > since_ns for worker in workers)

    def await_flow(self, roles: Sequence[str]) -> float:
        """Wait until messages flow through all of these; return how long that took, in s."""
        begin_ns = time.monotonic_ns()
        left = set(roles)
        while left and (waited_s := (time.monotonic_ns() - begin_ns) * 1e-9) < _WAIT_S:
            left = {role for role in left if not self.flows_since(role, begin_ns)}
            time.sleep(0.005)
        return _WAIT_S if left else waited_s

    def sample(self) -> None:
        """Note the size of all processes."""
        for role in self.roles.values():
            role.sample()

    def _address(self, role: str) -> str:
        if self.hosts:
            return f"tcp://{self.hosts.addresses[role]}:5600"
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{taken.getsockname()[1]}"

    def _command(self, name: str) -> list[str]:
        role = name.rstrip("2")
        flags = ["--keys", str(self._folder)]
        if name in self.flows:
            flags += ["--file", str(self.flows[name].path)]
        if role in {"publisher", "subscriber"}:
            module = "_transport_stream_roles"
            flags += ["--here", f"ipc://{self._folder}/images", "--network", self._addresses["publisher"]]
        else:
            module = "_transport_roles"
            served = "server" if role in {"server", "caller"} else "router"
            flags += ["--endpoint", self._addresses[served]]
            flags += ["--rate-hz", str(_CALLS_HZ if role == "caller" else _NUMBERS_HZ)]
            flags += ["--file", str(self.committed)] if role == "router" else []
        program = {"server": "responder", "router": "sink"}.get(role, role)
        return [sys.executable, "-m", f"lowlat_nodes.benchmarks.{module}", program, *flags]


def measure(count: int, seed: int, *, longest_s: float = _LASTS_S[1]) -> dict[str, Any]:
    """Return what became of so many faults.

    Args:
        count: How many.
        seed: Of their order and length.
        longest_s: How long a stop or a cut lasts at most.
    """
    dice = random.Random(seed)
    with ExitStack() as stack:
        session = Session(stack)
        if session.await_flow(ROLES) >= _WAIT_S:
            raise RuntimeError("expected messages to flow before the first fault")
        kinds = [kind for kind in FAULTS if session.hosts or kind != "cut"]
        plan = [(role, kind) for role in ROLES for kind in kinds]
        order = [step for _ in range(1 + count // len(plan)) for step in dice.sample(plan, len(plan))][:count]
        faults: list[Fault] = []
        reaped = 0
        for number, (role, kind) in enumerate(order):
            session.await_flow((*ROLES, *WITNESSES))
            time.sleep(dice.uniform(0.05, 0.3))
            session.sample()
            fault = _inject(
                session, role, kind, dice.uniform(_LASTS_S[0], longest_s), far=dice.random() < 0.5
            )
            reaped += stale.reap().segments
            faults.append(fault)
            print(f"{number + 1}/{count} {fault}", file=sys.stderr, flush=True)
        session.await_flow((*ROLES, *WITNESSES))
        session.sample()
        figures = _figures(faults, session, seed)
    return {"faults": {**figures, "segments_reaped": reaped}}


def _inject(session: Session, role: str, kind: str, lasts_s: float, *, far: bool) -> Fault:
    """Do it, end it, and wait until messages flow through the role again."""
    process = session.roles[role]
    began_s = time.monotonic()
    if kind == "kill":
        process.signal(signal.SIGKILL)
        process.wait()
        process.start()
    elif kind == "stop":
        process.signal(signal.SIGSTOP)
        time.sleep(lasts_s)
        process.signal(signal.SIGCONT)
    else:
        assert session.hosts is not None
        session.hosts.pull(role, far=far)
        time.sleep(lasts_s)
        session.hosts.plug(role)
    lasted_s = time.monotonic() - began_s
    return Fault(role, kind, round(lasted_s, 3), round(session.await_flow([role]), 4))


def _figures(faults: Sequence[Fault], session: Session, seed: int) -> dict[str, Any]:
    committed = int(session.committed.read_text())
    noted = session.numbers()
    done = set().union(*noted)
    took_s = [fault.recovery_s for fault in faults]
    by_kind_and_role = {
        f"{kind} {role}": {
            "injected": len(found),
            "unrecovered": sum(took > BOUND_S for took in found),
            "p50_s": round(statistics.median(found), 3),
            "max_s": round(max(found), 3),
        }
        for kind in FAULTS
        for role in ROLES
        if (found := [fault.recovery_s for fault in faults if (fault.kind, fault.role) == (kind, role)])
    }
    grown = {
        name: [growth for life in role.lives if (growth := life.growth()) is not None]
        for name, role in session.roles.items()
    }
    everything = [growth for growths in grown.values() for growth in growths]
    return {
        "injected": len(faults),
        "unrecovered": sum(took > BOUND_S for took in took_s),
        "lost": committed - len(done & set(range(committed))),
        "committed": committed,
        "done_twice": sum(map(len, noted)) - len(done),
        "recovery_p50_s": round(statistics.median(took_s), 3),
        "recovery_max_s": round(max(took_s), 3),
        "bound_s": BOUND_S,
        "each": [asdict(fault) for fault in faults],
        "by_kind_and_role": by_kind_and_role,
        "injected_by_kind": dict(Counter(fault.kind for fault in faults)),
        "rss_growth_mb": round(max((memory for memory, _ in everything), default=0.0), 2),
        "fd_growth": max((descriptors for _, descriptors in everything), default=0),
        "growth_by_role": {
            name: {
                "lives": len(session.roles[name].lives),
                "measured": len(growths),
                "rss_mb": round(max(memory for memory, _ in growths), 2),
                "descriptors": max(descriptors for _, descriptors in growths),
            }
            for name, growths in grown.items()
            if growths
        },
        "skipped": session.skipped,
        "seed": seed,
    }
