# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tick of a control node may ask the kernel for: priority, memory that stays, free cores."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.cli.doctor.container import in_container
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning

PRIORITY = 40
"""What `realtime.priority` of policy_node is by default."""

_CPU = Path("/sys/devices/system/cpu")
_THROTTLE = Path("/proc/sys/kernel/sched_rt_runtime_us")
_PERIOD = Path("/proc/sys/kernel/sched_rt_period_us")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_SYS_NICE = 1 << 23  # CAP_SYS_NICE of capabilities(7)
_LIMITS = 'echo "$USER - {}" | sudo tee -a /etc/security/limits.conf    # then log in anew'
_CONTAINER = "docker run --cap-add=SYS_NICE --ulimit rtprio=50 --ulimit memlock=-1 ..."
_LONGEST_S = 5.0
_STEADY = {"performance", "schedutil"}

# Really asked for, in a process that ends at once: of limits, capabilities and control groups any may say no.
_TRIAL = """
import ctypes, json, os, sys
said = {"fifo": "", "lock": ""}
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(int(sys.argv[1])))
except OSError as error:
    said["fifo"] = os.strerror(error.errno)
libc = ctypes.CDLL(None, use_errno=True)
if libc.mlockall(7):
    said["lock"] = os.strerror(ctypes.get_errno())
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Granted:
    """What a process was given when it asked.

    Attributes:
        fifo: Why it did not get SCHED_FIFO; empty where it did.
        lock: Why its memory was not locked; empty where it was.
    """

    fifo: str
    lock: str


def check(examination: Examination) -> Iterator[Finding]:
    """Try what policy_node will ask for, and look at what else makes ticks late."""
    # Without the site's packages: a large interpreter would say more about its size than about rights.
    argv = [sys.executable, "-I", "-S", "-c", _TRIAL, str(PRIORITY)]
    answer = examination.ask(argv, _LONGEST_S)
    container = in_container()
    if answer.code == 0:
        granted = Granted(**json.loads(answer.out))
        limits = {
            "rtprio": resource.getrlimit(resource.RLIMIT_RTPRIO)[0],
            "sys_nice": bool(capabilities() & _SYS_NICE),
        }
        yield judge_fifo(granted.fifo, limits, _read(_THROTTLE), container=container)
        yield judge_lock(granted.lock, resource.getrlimit(resource.RLIMIT_MEMLOCK)[0], container=container)
    else:
        yield note("SCHED_FIFO", f"A process that was to try it said nothing: {answer.reason}.")
    yield judge_throttling(_read(_THROTTLE), _read(_PERIOD))
    yield judge_quota(_read(_QUOTA))
    yield judge_governors(_governors())
    yield judge_cores(os.cpu_count() or 1, sorted(os.sched_getaffinity(0)), _read(_CPU / "isolated"))
    yield judge_smt(_read(_CPU / "smt" / "active"))
    yield judge_kernel(_read(Path("/sys/kernel/realtime")))


def judge_fifo(refused: str, limits: Mapping[str, int | bool], throttle: str, *, container: bool) -> Finding:
    """Return what an attempt at SCHED_FIFO showed.

    Args:
        refused: Why not; empty where it was granted.
        limits: RLIMIT_RTPRIO as `rtprio`, and whether there is CAP_SYS_NICE as `sys_nice`.
        throttle: sched_rt_runtime_us.
        container: Whether rights were given when it was started.
    """
    if not refused:
        return ok("SCHED_FIFO", f"A process got SCHED_FIFO {PRIORITY}.", granted=True, **limits)
    if throttle == "0":
        return warning(
            "SCHED_FIFO",
            f"Refused ({refused}): kernel.sched_rt_runtime_us is 0, so nobody gets any time for it.",
            "sudo sysctl -w kernel.sched_rt_runtime_us=950000",
            granted=False,
            **limits,
        )
    mend = _CONTAINER if container else _LIMITS.format("rtprio 50")
    why = (
        f"RLIMIT_RTPRIO is {limits['rtprio']}, CAP_SYS_NICE is {'there' if limits['sys_nice'] else 'missing'}"
    )
    return warning(
        "SCHED_FIFO",
        f"Refused ({refused}; {why}): the tick of policy_node runs with the normal scheduler, later "
        "under load.",
        mend,
        granted=False,
        **limits,
    )


def judge_lock(refused: str, limit: int, *, container: bool) -> Finding:
    """Return what an attempt at mlockall showed; limit in bytes, -1 for none."""
    figures = {"locked": not refused, "limit_bytes": limit}
    if refused:
        mend = _CONTAINER if container else _LIMITS.format("memlock unlimited")
        found = (
            f"Refused ({refused}; RLIMIT_MEMLOCK is {_bytes(limit)}): pages of the tick process may be "
            "taken away."
        )
        return warning("memory lock", found, mend, **figures)
    if 0 <= limit < 1 << 30 and os.geteuid():
        found = (
            f"A small process could lock its memory, within RLIMIT_MEMLOCK of {_bytes(limit)}; a node is "
            "larger."
        )
        return note("memory lock", found, _LIMITS.format("memlock unlimited"), **figures)
    return ok("memory lock", "A process could lock its memory.", **figures)


def judge_throttling(runtime: str, period: str) -> Finding:
    """Return what share of a core SCHED_FIFO may have, by sched_rt_runtime_us and sched_rt_period_us."""
    figures = {"runtime_us": runtime, "period_us": period}
    if not runtime or not period:
        return note(
            "throttling", "The kernel does not say how much of a core SCHED_FIFO may have.", **figures
        )
    if runtime == "0":
        return problem(
            "throttling",
            "SCHED_FIFO may have nothing: kernel.sched_rt_runtime_us is 0.",
            "sudo sysctl -w kernel.sched_rt_runtime_us=950000",
            **figures,
        )
    if int(runtime) < 0:
        found = "SCHED_FIFO may keep a core for good; a tick that hangs freezes it."
        return note("throttling", found, "sudo sysctl -w kernel.sched_rt_runtime_us=950000", **figures)
    share = int(runtime) / int(period)
    if share < 0.5:
        found = f"SCHED_FIFO may have {share:.0%} of a core only; ticks are cut off beyond it."
        return warning("throttling", found, "sudo sysctl -w kernel.sched_rt_runtime_us=950000", **figures)
    return ok(
        "throttling", f"SCHED_FIFO may have {share:.0%} of a core, far more than ticks take.", **figures
    )


def judge_quota(cpu_max: str) -> Finding:
    """Return what the control group's cpu.max takes away."""
    quota, _, period = cpu_max.partition(" ")
    if not quota or quota == "max" or not period:
        return ok("quota", "No control group holds back this process's time.", cpu_max=cpu_max)
    cores, period_ms = int(quota) / int(period), int(period) / 1e3
    return warning(
        "quota",
        f"The control group allows {cores:.2f} cores in each {period_ms:.0f} ms, and then stops all "
        "threads until the "
        f"next: a tick may be late by that.",
        "docker run --cpuset-cpus=0-1 ...    # whole cores, in place of --cpus",
        cpu_max=cpu_max,
    )


def judge_governors(governors: Mapping[str, str]) -> Finding:
    """Return what steers the frequency of each core.

    Args:
        governors: Of each core by name, such as `cpu0`; none where the machine has no say.
    """
    if not governors:
        return note("governor", "Nothing here sets the frequency of cores, as in a virtual machine.")
    slow = sorted({name for name in governors.values() if name not in _STEADY})
    if slow:
        return warning(
            "governor",
            f"Cores run under {', '.join(slow)}: a core that slept begins slowly, and ticks and "
            "inferences take longer.",
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
            governors=dict(governors),
        )
    names = ", ".join(sorted(set(governors.values())))
    return ok("governor", f"Cores run under {names}.", governors=dict(governors))


def judge_cores(present: int, allowed: list[int], isolated: str) -> Finding:
    """Return which cores this process may use, and which are kept from everybody who does not ask."""
    figures = {"present": present, "allowed": allowed, "isolated": isolated}
    if len(allowed) < 2:
        return warning(
            "cores",
            "One core only: the tick, the inference and the middleware take it from one another.",
            "taskset -pc $$    # which cores this shell may use",
            **figures,
        )
    if isolated:
        found = (
            f"Cores {isolated} are isolated; give them to the tick with the parameter realtime.cpus of "
            "policy_node."
        )
        return note("cores", found, **figures)
    return ok("cores", f"{len(allowed)} of {present} cores may be used, none is isolated.", **figures)


def judge_smt(active: str) -> Finding:
    """Return whether two threads of the processor share a core."""
    if active != "1":
        return ok("threads of a core", "No two threads of the processor share a core.", smt=False)
    return note(
        "threads of a core",
        "Two threads share each core: the tick is slower while its neighbour works, by some ten per cent.",
        "echo off | sudo tee /sys/devices/system/cpu/smt/control    # until the next boot, if that matters",
        smt=True,
    )


def judge_kernel(realtime: str) -> Finding:
    """Return whether the kernel is PREEMPT_RT."""
    if realtime == "1":
        return ok("kernel", f"{os.uname().release} is a real-time kernel (PREEMPT_RT).", preempt_rt=True)
    found = (
        f"{os.uname().release} is no real-time kernel; under load a tick may be late by some milliseconds."
    )
    return note("kernel", found, preempt_rt=False)


def capabilities() -> int:
    """Return the effective capabilities of this process, as bits."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value.strip(), 16)
    return 0


def _governors() -> dict[str, str]:
    return {path.parts[-3]: _read(path) for path in sorted(_CPU.glob("cpu[0-9]*/cpufreq/scaling_governor"))}


def _bytes(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else f"{limit / 1e6:.1f} MB"


def _read(path: Path) -> str:
    """Return what a file of the kernel says; nothing where there is none."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
