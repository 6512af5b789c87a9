# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs one strategy: arm, policy, recorder and driver as processes on a ROS domain of their own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lowlat_nodes.cli.demo.energy import sampled
from lowlat_nodes.cli.demo.processes import ProcessError, Processes
from lowlat_nodes.cli.demo.recording import IMAGES, TOPICS
from lowlat_nodes.cli.demo.settings import DemoSettings
from lowlat_nodes.cli.demo.ways import parameters
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.transport import leftovers, segments

BAG = "bag"
RECORDER = "lowlat_record"

# The domains above those whose ports Linux hands out to everybody; nobody takes these by default.
_DOMAINS = range(215, 233)
_FIRST_PORT, _PORTS_PER_DOMAIN, _UNICAST = 7400, 250, 10  # RTPS 2.5, 9.6.2.4

Tell = Callable[[dict[str, Any]], None]


class RunError(LowlatError):
    """A run did not come to its end; says why."""


def run_strategy(
    name: str, settings: DemoSettings, folder: Path, params_file: Path, domain: int, tell: Tell
) -> None:
    """Run a strategy to the end of its lights and leave its bag and its energy in `folder`.

    Args:
        name: The strategy or preset.
        settings: What to do.
        folder: An existing folder for the bag and what the processes print.
        params_file: ROS parameter file of `sim_arm_node` and `policy_node`.
        domain: The ROS domain to use.
        tell: Called with everything that the driver of the run says, see `nodes.drivers.demo_driver`, and
            with what the policy node uses then: `"energy": {"kind": word, "watts": number or None}`.

    Raises:
        RunError: If a process ended early, or something never got ready.
    """
    topics = [topic for topic in TOPICS if settings.record_images or topic != IMAGES]
    try:
        with (
            sampled(folder, environment_of(folder, domain)) as (watch, environment),
            Processes(folder, environment) as processes,
        ):
            processes.start("sim_arm_node", _node("sim_arm_node", params_file, _sim_parameters(settings)))
            processes.start("recorder", _recorder(folder / BAG, topics))
            driver = [
                sys.executable,
                "-m",
                "lowlat_nodes.nodes.drivers.demo_driver",
                "--recorder",
                RECORDER,
                *topics,
            ]
            processes.start("driver", driver, piped=True)
            # Last, so that the others do not join while it already drives.
            policy = policy_parameters(name, settings)
            processes.start("policy_node", _node("policy_node", params_file, policy))
            follow(processes, lambda said: tell({**said, "energy": watch.hear(said)}))
            watch.result().save(folder)
            # The recorder first, so that its bag holds no half-stopped system.
            _stop_recorder(processes)
    except ProcessError as error:
        raise RunError(f"{name}: {error}") from error
    finally:
        leftovers.reap()


@contextlib.contextmanager
def own_domain() -> Iterator[int]:
    """Claim a ROS domain that nobody on this machine uses, and hold it from other demos.

    Not the user's own: on a robot its controllers may listen there, and these commands are for no real arm.

    Raises:
        RunError: If all are taken.
    """
    folder = Path(tempfile.gettempdir()) / f"lowlat_demo_domains_{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for domain in random.sample(_DOMAINS, len(_DOMAINS)):
        with (folder / str(domain)).open("w") as claim:
            if _is_free(domain, claim):
                yield domain
                return
    raise RunError(f"all ROS domains from {_DOMAINS[0]} to {_DOMAINS[-1]} are in use on this machine")


def _is_free(domain: int, claim: IO[str]) -> bool:
    """Lock a claim, and see whether the port of a domain's first participant is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            probe.bind(("", _FIRST_PORT + _PORTS_PER_DOMAIN * domain + _UNICAST))
        except OSError:
            return False
    return True


def follow(processes: Processes, tell: Tell) -> None:
    """Hand on what the driver of a run says until it ends.

    Raises:
        ProcessError: If it names a problem, or another process ended.
    """
    problem = ""
    for line in processes.lines("driver"):
        if not line.startswith("{"):  # nothing new, or a library that prints
            continue
        said = json.loads(line)
        problem = said.get("problem", problem)
        tell(said)
    code = processes.finish("driver")
    if problem or code:
        raise ProcessError(problem or f"the driver ended with exit code {code}")


def _stop_recorder(processes: Processes) -> None:
    if processes.stop("recorder")["recorder"]:
        last = processes.last_lines("recorder")
        raise ProcessError(f"the recorder lost messages or did not stop cleanly; its last lines:\n{last}")


def _sim_parameters(settings: DemoSettings) -> dict[str, Any]:
    return {"lights.targets": settings.targets, "lights.seed": settings.seed}


def policy_parameters(name: str, settings: DemoSettings) -> dict[str, Any]:
    """Return what the policy node is told besides its parameter file, by dotted name."""
    return {
        "policy.inference_delay_ms": settings.inference_delay_ms,
        "policy.seed": settings.seed,
        **parameters(name),
        **settings.parameters,
    }


def _node(module: str, params_file: Path, overrides: Mapping[str, Any]) -> list[str]:
    rules = [word for name, value in overrides.items() for word in ("-p", f"{name}:={value}")]
    program = [sys.executable, "-m", f"lowlat_nodes.nodes.{module}"]
    return [*program, "--ros-args", "--params-file", str(params_file), *rules]


def _recorder(bag: Path, topics: Sequence[str]) -> list[str]:
    # Compressed, because the camera's drawings shrink to a fiftieth.
    program = [sys.executable, "-m", "lowlat_nodes.cli.main", "record"]
    return [*program, "--out", str(bag), "--compression", "zstd", *topics]


def environment_of(folder: Path, domain: int) -> dict[str, str]:
    """Return the environment of the processes of a run: on this machine alone, in a ROS domain of its own."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS"}
    }
    return (
        environment
        | segments.profile_environment(environment)
        | {
            "PYTHONUNBUFFERED": "1",
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_DOMAIN_ID": str(domain),
            "ROS_LOG_DIR": str(folder / "ros"),
        }
    )
