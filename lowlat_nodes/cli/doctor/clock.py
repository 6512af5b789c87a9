# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The clock of the machine: whether it is right, whether it jumps, and what it costs to read.

State of the kernel by adjtimex(2), which anybody may ask.
"""

from __future__ import annotations

import ctypes
import itertools
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.cli.doctor.container import in_container
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning

_UNSYNCHRONISED, _NANOSECONDS = 0x40, 0x2000  # STA_UNSYNC and STA_NANO of <sys/timex.h>
_WRITTEN_S = 1767225600  # 1 January 2026: this program did not exist before
_STEP_NS = 1_000_000
_FAR_US = 100_000  # of another machine's clock, which ages across machines would be wrong by
_COARSE_S = 1e-6
_SLOW_NS = 500.0
_QUICK = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "riscv_clocksource"}
_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_READINGS = 2000


@dataclass(frozen=True)
class Discipline:
    """How the kernel steers the clock.

    Attributes:
        synchronised: Whether something sets it by another clock.
        error_us: How far off it may be, by its own account.
        offset_us: How much is still to be corrected.
    """

    synchronised: bool
    error_us: float
    offset_us: float


def check(examination: Examination) -> Iterator[Finding]:
    """Look at the clock, and whether it has jumped since the run began."""
    yield judge_time(time.time(), discipline(), container=in_container())
    moved_ns = time.time_ns() - time.monotonic_ns() - examination.offset_ns
    yield judge_step(moved_ns)
    yield judge_resolution(time.get_clock_info("monotonic").resolution)
    yield judge_source(_SOURCE.read_text(encoding="ascii").strip() if _SOURCE.exists() else "", _cost_ns())


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), with room for what follows the fields that are read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def discipline() -> Discipline | None:
    """Ask the kernel; None where it does not say."""
    state = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state)) < 0:
        return None
    unit = 1e-3 if state.status & _NANOSECONDS else 1.0
    synchronised = not state.status & _UNSYNCHRONISED
    return Discipline(synchronised, float(state.maxerror), state.offset * unit)


def judge_time(now_s: float, state: Discipline | None, *, container: bool) -> Finding:
    """Return whether the clock can be right.

    Args:
        now_s: What it says, since 1970.
        state: How it is steered.
        container: Whether it is the clock of a host that is set there.
    """
    about = "synchronised"
    mend = (
        ("timedatectl status    # on the host of this container",) if container
        else ("sudo timedatectl set-ntp true", "sudo apt install chrony    # where there is no timedatectl")
    )  # fmt: skip
    if now_s < _WRITTEN_S:
        day = time.strftime("%Y-%m-%d", time.gmtime(now_s))
        found = (
            f"The clock says {day}, which is before this program was written; stamps and certificates are "
            "wrong."
        )
        return problem(about, found, *mend, now_s=now_s)
    if state is None:
        return note(about, "The kernel does not say whether anything sets the clock.", now_s=now_s)
    figures = {"synchronised": state.synchronised, "error_us": state.error_us, "offset_us": state.offset_us}
    if not state.synchronised:
        return warning(
            about,
            "Nothing sets the clock by another one: ages of messages from other machines will be "
            "wrong, and it may jump "
            "once something does. On one machine nothing suffers.",
            *mend,
            **figures,
        )
    if state.error_us > _FAR_US:
        found = f"It is, but may be off by {state.error_us / 1e3:.0f} ms by its own account."
        tool = "chronyc tracking" if shutil.which("chronyc") else "timedatectl timesync-status"
        return warning(about, found, tool, **figures)
    return ok(
        about,
        f"The clock is set by another one, and off by {state.error_us / 1e3:.1f} ms at most.",
        **figures,
    )


def judge_step(moved_ns: int) -> Finding:
    """Return whether the clock of day jumped against the steady one."""
    figures = {"moved_us": moved_ns / 1e3}
    if abs(moved_ns) < _STEP_NS:
        return ok("steps", "The time of day went on steadily during this run.", **figures)
    return warning(
        "steps",
        f"The time of day jumped by {moved_ns / 1e6:+.1f} ms during this run; ages of messages are "
        "wrong across it.",
        "journalctl --since -10min -u chrony -u systemd-timesyncd -u ntpsec",
        **figures,
    )


def judge_resolution(resolution_s: float) -> Finding:
    """Return what the resolution of the steady clock means."""
    if resolution_s <= _COARSE_S:
        return ok(
            "resolution", f"The steady clock counts in {resolution_s * 1e9:.0f} ns.", seconds=resolution_s
        )
    return problem(
        "resolution",
        f"The steady clock counts in {resolution_s * 1e3:.3g} ms: the kernel has no high-resolution "
        "timers, and ticks "
        f"come as it likes.",
        "grep -o 'highres=[a-z]*\\|nohz=[a-z]*' /proc/cmdline; sudo dmesg | grep -i clocksource",
        seconds=resolution_s,
    )


def judge_source(name: str, cost_ns: float) -> Finding:
    """Return what the kernel reads the time from, and what that costs, ns."""
    figures = {"source": name, "cost_ns": cost_ns}
    if name in _QUICK or (not name and cost_ns < _SLOW_NS):
        return ok("source", f"Reading {name or 'the clock'} takes {cost_ns:.0f} ns from Python.", **figures)
    return warning(
        "source",
        f"The kernel takes the time from {name or 'something slow'}, {cost_ns:.0f} ns a reading: each "
        "goes into the "
        f"kernel, as it holds the processor's own counter (tsc) for unsteady.",
        "sudo dmesg | grep -i 'tsc\\|clocksource'",
        "cat /sys/devices/system/clocksource/clocksource0/available_clocksource",
        **figures,
    )


def _cost_ns() -> float:
    """Return what the quickest of some readings of the steady clock took."""
    times = [time.monotonic_ns() for _ in range(_READINGS)]
    return float(min(later - earlier for earlier, later in itertools.pairwise(times)))
