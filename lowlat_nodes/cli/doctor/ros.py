# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""rclpy and its middleware, tried in a process of their own, and who hears of whom by the environment."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning
from lowlat_nodes.cli.doctor.requirements import pip, versions_of
from lowlat_nodes.transport.segments import PROFILE_VARIABLES

_LONGEST_S = 10.0
_PROBE = "lowlat_nodes.nodes.probes.middleware_probe"
_WHEELS = ("ros-rclpy", "ros-jazzy-rclpy", "ros-kilted-rclpy")
_WHEELS_MARK = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
_RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
_FOR_PYTHON = re.compile(r"/python(3\.\d+)/(?:site|dist)-packages/?\Z")
_LAST_DOMAIN = 232
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_PORT, _PORTS_PER_DOMAIN = 7400, 250  # of DDSI-RTPS 2.5, 9.6.2


def check(examination: Examination) -> Iterator[Finding]:
    """Judge the environment, then try it."""
    environment = examination.environment
    yield from judge_mixture(environment, versions_of(_WHEELS), sys.prefix)
    yield from judge_discovery(environment)
    yield from judge_profiles(environment)
    yield domain(environment.get("ROS_DOMAIN_ID") or "0")
    if importlib.util.find_spec("rclpy") is None:
        yield problem(
            "rclpy",
            "There is none: no ROS installation is sourced, and the wheels are not installed.",
            ". /opt/ros/jazzy/setup.bash    # where ROS is installed",
            pip("install", "lowlat_nodes[ros]") + "    # where it is not",
        )
        return
    with tempfile.TemporaryDirectory(prefix="lowlat_doctor_") as logs:  # where rclpy begins a log of its own
        own = {**environment, "ROS_LOG_DIR": logs}
        answer = examination.ask([sys.executable, "-m", _PROBE], _LONGEST_S, own)
    said = json.loads(answer.out.splitlines()[-1]) if answer.code == 0 and answer.out else None
    wanted = environment.get("RMW_IMPLEMENTATION", "")
    yield from judge_middleware(said, answer.reason, wanted, environment.get("ROS_DISTRO", ""))


def judge_middleware(
    said: Mapping[str, Any] | None, reason: str, wanted: str, distribution: str
) -> Iterator[Finding]:
    """Yield whether the middleware loads, and whether the messages are there.

    Args:
        said: Middleware, version of rclpy, and why messages of vision_msgs do not load; None where it failed.
        reason: Why it failed.
        wanted: RMW_IMPLEMENTATION; empty for the default.
        distribution: ROS_DISTRO; empty where none is sourced, and the wheels have rmw_fastrtps_cpp alone.
    """
    if said is None:
        if wanted:
            mend = ["unset RMW_IMPLEMENTATION    # takes rmw_fastrtps_cpp"]
            if distribution:
                mend.append(
                    f"sudo apt install ros-{distribution}-{wanted.replace('_', '-')}    # or installs it"
                )
            yield problem("middleware", f"RMW_IMPLEMENTATION={wanted} does not load: {reason}", *mend)
        else:
            yield problem("middleware", f"rclpy does not start: {reason}", f"{sys.executable} -m {_PROBE}")
        return
    yield ok("middleware", f"{said['rmw']} loads, with rclpy {said['rclpy']} from {said['folder']}.", **said)
    if said["vision_msgs"]:
        yield problem(
            "vision_msgs",
            f"Its messages do not load, which detector_node publishes: {said['vision_msgs']}.",
            "sudo apt install ros-$ROS_DISTRO-vision-msgs    # beside a ROS installation",
            "lowlat interfaces    # beside wheels",
        )
    else:
        yield ok("vision_msgs", "Its messages load.")


def judge_mixture(
    environment: Mapping[str, str], wheels: Mapping[str, str], prefix: str
) -> Iterator[Finding]:
    """Yield whether two ROS installations get in each other's way.

    Args:
        environment: Of the shell.
        wheels: The version of each wheel of rclpy, by distribution.
        prefix: Of this interpreter.
    """
    if {"ros-jazzy-rclpy", "ros-kilted-rclpy"} <= wheels.keys():
        found = (
            "Wheels of Jazzy and of Kilted are installed into one environment; their libraries replace "
            "each other."
        )
        yield problem("wheels", found, "rm -rf .venv && make demo    # in the checkout")
    sourced = environment.get("ROS_DISTRO") and environment.get("AMENT_PREFIX_PATH")
    if sourced and wheels:
        yield warning(
            "mixture",
            f"ROS {environment['ROS_DISTRO']} is sourced, and its wheels are installed too: rclpy and "
            "the libraries of one "
            f"may meet those of the other.",
            "env -u AMENT_PREFIX_PATH -u LD_LIBRARY_PATH -u PYTHONPATH -u ROS_DISTRO bash    # a "
            "shell with the wheels",
            "make clean && make demo    # an environment on top of the ROS installation",
        )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for folder in environment.get("PYTHONPATH", "").split(os.pathsep):
        made_for = _FOR_PYTHON.search(folder)
        if made_for and made_for.group(1) != version and (Path(folder) / "rclpy").is_dir():
            yield problem(
                "mixture",
                f"{folder} is on the PYTHONPATH and made for Python {made_for.group(1)}; this is {version}.",
                f"python{made_for.group(1)} -m venv --system-site-packages .venv    # its Python",
            )
    mark = environment.get(_WHEELS_MARK)
    libraries = environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    if wheels and mark and str(Path(prefix) / "lib") not in libraries:
        found = (
            "The mark of another environment's wheels is set, so that those of this one do not find "
            "their libraries."
        )
        yield problem("wheels", found, f"unset {_WHEELS_MARK} LD_LIBRARY_PATH")


def judge_discovery(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what the variables of discovery mean."""
    about = "discovery"
    old = environment.get("ROS_LOCALHOST_ONLY", "")
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    figures = {"range": reach, "localhost_only": old, "static_peers": environment.get("ROS_STATIC_PEERS", "")}
    if reach and reach.upper() not in _RANGES:
        found = f"ROS_AUTOMATIC_DISCOVERY_RANGE is {reach!r}, expected one of {', '.join(_RANGES)}."
        yield problem(about, found, "export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET", **figures)
    elif reach.upper() == "OFF":
        found = "ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: no process hears of any other one."
        yield problem(
            about, found, "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST    # or SUBNET", **figures
        )
    elif old == "1":
        found = (
            "ROS_LOCALHOST_ONLY=1 is deprecated, keeps to this machine, and wins over "
            "ROS_AUTOMATIC_DISCOVERY_RANGE."
        )
        say = warning if reach.upper() == "SUBNET" else note
        mend = "unset ROS_LOCALHOST_ONLY; export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"
        yield say(about, found, mend, **figures)
    elif reach.upper() == "LOCALHOST":
        yield ok(
            about,
            "Processes hear of those of this machine only, as ROS_AUTOMATIC_DISCOVERY_RANGE says.",
            **figures,
        )
    else:
        yield ok(about, "Processes hear of each other in the whole subnet, by multicast.", **figures)
    if server := environment.get("ROS_DISCOVERY_SERVER"):
        found = (
            f"ROS_DISCOVERY_SERVER is {server}: where that server does not run, no process hears of any "
            "other one."
        )
        yield note(about, found, "unset ROS_DISCOVERY_SERVER", **figures)


def judge_profiles(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether the profiles of Fast DDS that the environment names exist."""
    given = {name: environment[name] for name in PROFILE_VARIABLES if environment.get(name)}
    for name, path in given.items():
        if not Path(path).is_file():
            found = (
                f"{name} names {path}, which does not exist: Fast DDS goes on without a profile, and says "
                "so to nobody."
            )
            yield problem("profile", found, f"unset {name}", **given)
    if len(set(given.values())) > 1:
        found = (
            "The two variables of Fast DDS profiles name different files; Jazzy reads the first, Kilted "
            "the second."
        )
        yield warning("profile", found, f"export {PROFILE_VARIABLES[1]}=${PROFILE_VARIABLES[0]}", **given)


def domain(text: str) -> Finding:
    """Return whether ROS_DOMAIN_ID is a domain whose ports can be had."""
    if text.isdecimal() and int(text) <= _LAST_DOMAIN:
        return judge_domain(int(text), ephemeral_ports(), held_port(int(text)))
    found = f"ROS_DOMAIN_ID is {text!r}, expected a whole number from 0 to {_LAST_DOMAIN}."
    return problem("domain", found, "export ROS_DOMAIN_ID=0")


def judge_domain(domain: int, ephemeral: tuple[int, int], held: int | None) -> Finding:
    """Return whether the ports of a domain are free.

    Args:
        domain: ROS_DOMAIN_ID.
        ephemeral: The first and the last port that the kernel gives to whoever asks for any.
        held: The port of discovery, where a program holds it that lets no other one have it.
    """
    first = _FIRST_PORT + _PORTS_PER_DOMAIN * domain
    last = first + _PORTS_PER_DOMAIN - 1
    figures = {"domain": domain, "first_port": first, "last_port": last}
    another = f"export ROS_DOMAIN_ID={(domain + 1) % 100}    # for all nodes"
    if held is not None:
        found = (
            f"Domain {domain} needs UDP port {held}, which a program holds for itself: nodes do not hear "
            "of each other."
        )
        return problem("domain", found, f"ss -lunp 'sport = :{held}'", another, **figures)
    if ephemeral[0] <= last and first <= ephemeral[1]:
        found = (
            f"Domain {domain} uses ports {first} to {last}, which the kernel also gives to any program "
            f"({ephemeral[0]} to {ephemeral[1]}): a node may fail to start now and then."
        )
        return warning("domain", found, "export ROS_DOMAIN_ID=1    # 0 to 100, for all nodes", **figures)
    return ok("domain", f"{domain}, with ports {first} to {last}.", **figures)


def ephemeral_ports() -> tuple[int, int]:
    """Return the first and the last port that the kernel gives to whoever asks for any."""
    try:
        first, last = map(int, _EPHEMERAL.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return 32768, 60999
    return first, last


def held_port(domain: int) -> int | None:
    """Return the port of a domain's discovery where it cannot be shared, as participants share it."""
    port = _FIRST_PORT + _PORTS_PER_DOMAIN * domain
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return port
    return None
