# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What DDS loses here: images that one process sends to another, on a domain of its own, counted.

An environment without a profile is what a camera driver that is started from this shell has; our own nodes
set config/fastdds_shm.xml where nothing is chosen. So what is lost is measured as the environment is, and
where that loses, once more with our profile.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.examination import Examination, last_line
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning
from lowlat_nodes.transport.segments import PROFILE_VARIABLES, profile_environment

_END = "lowlat_nodes.nodes.probes.image_probe"
_LONGEST_S = 14.0
_TOLERATED = 0.05
_FIRST_PORT, _PORTS_PER_DOMAIN = 7400, 250
_DOMAINS = range(20, 100)
_FAST = "rmw_fastrtps"


@dataclass(frozen=True)
class Size:
    """Images of one size.

    Attributes:
        name: What people call it.
        sent: How many were.
        received: How many arrived.
    """

    name: str
    sent: int
    received: int

    @property
    def lost(self) -> float:
        """The share that did not arrive."""
        return 1.0 - self.received / self.sent if self.sent else 1.0


@dataclass(frozen=True)
class Trial:
    """What came of sending images in one environment.

    Attributes:
        rmw: The middleware.
        matched: Whether the two processes heard of each other.
        sizes: What was sent and what arrived.
        error: Why nothing could be sent.
        late: Whether it took longer than it may.
    """

    rmw: str = ""
    matched: bool = False
    sizes: tuple[Size, ...] = ()
    error: str = ""
    late: bool = False

    @property
    def loses(self) -> bool:
        """Whether more was lost than a busy machine excuses."""
        return any(size.lost > _TOLERATED for size in self.sizes)

    def told(self) -> str:
        """Return what arrived, for people."""
        return ", ".join(f"{size.received} of {size.sent} {size.name} images" for size in self.sizes)


def check(examination: Examination) -> Iterator[Finding]:
    """Send images as the environment is, and in others where that shows something wrong."""
    if not examination.images:
        yield note("images", "None were sent, as --no-dds says.", "lowlat doctor --only dds")
        return
    if importlib.util.find_spec("rclpy") is None:
        yield note("images", "None were sent, as there is no rclpy.")
        return
    own = dict(examination.environment)
    plain = attempt(examination, own)
    if plain.error:
        yield problem("images", f"Nothing could be sent: {plain.error}", "lowlat doctor --only ros")
        return
    if plain.late:
        yield warning(
            "images",
            "Sending them took longer than a check may take: this machine is busy, or the middleware hangs.",
            "top -b -n 1 | head -20",
        )
        return
    if not plain.matched:
        near = None
        if own.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() != "LOCALHOST":
            without = {name: value for name, value in own.items() if name != "ROS_LOCALHOST_ONLY"}
            near = attempt(
                examination, {**without, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, images=False
            )
        yield judge_discovery(near)
        return
    yield ok("discovery", f"Two processes of this machine heard of each other by {plain.rmw}.", rmw=plain.rmw)
    tuned = None
    if plain.loses and plain.rmw.startswith(_FAST):
        tuned = attempt(examination, tuned_environment(own))
    yield judge_loss(plain, tuned, chosen=not profile_environment(own))


def tuned_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with our profile in place of any other choice."""
    without = {name: value for name, value in environment.items() if name != "FASTDDS_BUILTIN_TRANSPORTS"}
    return {**without, **profile_environment({})}


def judge_discovery(near: Trial | None) -> Finding:
    """Return what it means that two processes did not hear of each other.

    Args:
        near: How it went over the loopback alone; None where that was the environment's own choice.
    """
    found = "Two processes of this machine did not hear of each other"
    if near is not None and near.matched:
        return problem(
            "discovery",
            f"{found} by multicast; over the loopback they do. A firewall or the network drops "
            "multicast, or discovery "
            f"is off.",
            "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST    # for nodes of this machine alone",
            "sudo ufw allow in proto udp to 224.0.0.0/4 && sudo ufw allow in proto udp from 224.0.0.0/4",
            "sudo ip link set lo multicast on    # where there is no network at all",
        )
    return problem(
        "discovery",
        f"{found}, over the loopback neither.",
        "unset ROS_DISCOVERY_SERVER ROS_STATIC_PEERS FASTDDS_BUILTIN_TRANSPORTS "
        + " ".join(PROFILE_VARIABLES),
        "ip addr show lo    # must be UP with 127.0.0.1; otherwise: sudo ip link set lo up",
    )


def judge_loss(plain: Trial, tuned: Trial | None, *, chosen: bool) -> Finding:
    """Return what was lost and what helps.

    Args:
        plain: As the environment is.
        tuned: With our profile; None where that was not tried.
        chosen: Whether the environment chooses a profile or transports, which our nodes then use as well.
    """
    figures: dict[str, Any] = {"rmw": plain.rmw, "environment": _figures(plain), "chosen": chosen}
    if not plain.loses:
        return ok("images", f"{_start(plain.told())} arrived, best effort, by {plain.rmw}.", **figures)
    profile = shlex.quote(str(resources.path("config", "fastdds_shm.xml")))
    export = "export " + " ".join(f"{name}={profile}" for name in PROFILE_VARIABLES)
    lost = f"Only {plain.told()} arrived, best effort, as this shell is"
    if tuned is None:
        return warning(
            "images",
            f"{lost} ({plain.rmw}). Nodes on one machine lose less over ZeroMQ (docs/bridge_node.md).",
            "echo net.core.rmem_max=16777216 | sudo tee /etc/sysctl.d/60-lowlat.conf && sudo sysctl --system",
            **figures,
        )
    figures["with_our_profile"] = _figures(tuned)
    if tuned.matched and not tuned.loses:
        found = f"{lost}; with our profile, {tuned.told()}."
        if chosen:
            where = "The profile or the transports chosen in this shell hold for our nodes too."
            return problem(
                "images", f"{found} {where}", "unset FASTDDS_BUILTIN_TRANSPORTS", export, **figures
            )
        where = "Our launch files and `lowlat up` set it; camera drivers started from this shell go without."
        return warning("images", f"{found} {where}", export, **figures)
    found = (
        f"{lost}; with our profile, {tuned.told() or 'none'}: /dev/shm is too small, or this machine is "
        "too busy."
    )
    return problem("images", found, "lowlat doctor --only memory", "top -b -n 1 | head -20", **figures)


def attempt(examination: Examination, environment: Mapping[str, str], *, images: bool = True) -> Trial:
    """Send images from one process to another, and count; or only see whether they hear of each other."""
    ends_s = time.monotonic() + examination.left_s(_LONGEST_S)
    with tempfile.TemporaryDirectory(prefix="lowlat_doctor_") as logs:
        own = {**environment, "ROS_DOMAIN_ID": str(free_domain(used_ports())), "ROS_LOG_DIR": logs}
        role = "publisher" if images else "caller"
        with _end("subscriber", own) as subscriber, _end(role, own) as publisher:
            try:
                # Each begins when both are there: on a busy machine rclpy alone takes seconds to start.
                if not (_ready(subscriber, ends_s) and _ready(publisher, ends_s)):
                    return _said(subscriber, 0.0) if subscriber.poll() else _said(publisher, 0.0)
                sent = _said(publisher, ends_s - time.monotonic())
                received = _said(subscriber, max(2.0, ends_s - time.monotonic())) if sent.matched else Trial()
            finally:
                for end in (publisher, subscriber):
                    end.kill()
    if sent.error or sent.late or not sent.matched:
        return sent
    if received.error or received.late:
        return received
    arrived = {size.name: size.received for size in received.sizes}
    return replace(
        sent, sizes=tuple(replace(size, received=arrived.get(size.name, 0)) for size in sent.sizes)
    )


def free_domain(used: set[int]) -> int:
    """Return a domain none of whose ports is in use, another one for each process."""
    order = [_DOMAINS[(os.getpid() + turn) % len(_DOMAINS)] for turn in range(len(_DOMAINS))]
    for domain in order:
        first = _FIRST_PORT + _PORTS_PER_DOMAIN * domain
        if used.isdisjoint(range(first, first + _PORTS_PER_DOMAIN)):
            return domain
    return order[0]


def used_ports() -> set[int]:
    """Return the UDP ports that are in use here."""
    ports = set()
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        ports |= {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
    return ports


def _end(role: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", _END, role, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        text=True,
        errors="replace",
    )


def _ready(end: subprocess.Popen[str], ends_s: float) -> bool:
    """Wait until one end has joined its domain; return False if it ended first, or is late."""
    assert end.stdout is not None
    readable, _, _ = select.select([end.stdout], [], [], max(0.0, ends_s - time.monotonic()))
    return bool(readable) and bool(end.stdout.readline())


def _said(end: subprocess.Popen[str], patience_s: float) -> Trial:
    """Tell one end that the other one is there, or done, and return what it says in the end."""
    try:
        out, err = end.communicate(timeout=max(0.1, patience_s))
    except subprocess.TimeoutExpired:
        return Trial(late=True)
    if end.returncode:
        return Trial(error=last_line(err) or f"a process ended with {end.returncode}")
    said = json.loads(out.splitlines()[-1])
    sent, received = said.get("sent", {}), said.get("received", {})
    sizes = tuple(Size(name, sent.get(name, 0), received.get(name, 0)) for name in said["names"])
    return Trial(said["rmw"], said.get("matched", True), sizes)


def _figures(trial: Trial) -> Mapping[str, Sequence[int]]:
    return {size.name: (size.sent, size.received) for size in trial.sizes}


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
