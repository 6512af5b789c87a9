# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What it costs to have a policy in a server: the same requests in this process and over a protocol.

`lowlat serve policy` runs as a process on the same machine. Requests go to the policy here and to that one
in turns, with the same observations; the answers must be equal bit for bit. The cost is the difference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import Observation, Policy, PolicySpec
from lowlat_nodes.control.policies.remote import RemotePolicy
from lowlat_nodes.stream.config import build
from lowlat_nodes.transport.policy.connect import connect

_WARM_UP = 50
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Case:
    """A policy: the parameters below `policy.`."""

    name: str
    parameters: Mapping[str, Any]


CASES = (
    Case("noop", {"kind": "python", "factory": "lowlat_nodes.benchmarks._remote_policies:noop_policy"}),
    Case("reach_flow", {"kind": "onnx", "model": "reach_flow"}),
)

PROTOCOLS: Mapping[str, Mapping[str, Any]] = {"openpi": {}, "lowlat": {}}
"""Protocol: the parameters that its keys need. GR00T's has no numbers of requests, and float32 only."""


@contextmanager
def served(protocol: str, case: Case) -> Iterator[tuple[str, int]]:
    """Run a server on a free port until the end of the block; yield its address and its process."""
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "serve", "policy", "--protocol", protocol]
    command += ["--port", "0"]
    for name, value in {**case.parameters, **PROTOCOLS[protocol]}.items():
        command += ["-p", f"policy.{name}:={value}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        if " at " not in greeting:
            raise RuntimeError(f"{' '.join(command)} did not start")
        yield greeting.split(" at ")[1].split()[0], process.pid
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def observation(spec: PolicySpec, request: int) -> Observation:
    """Return what a robot might see: another state and other images each time."""
    random = np.random.default_rng(request)
    state = random.standard_normal(len(spec.state_fields) * len(spec.delta)).astype(np.float32)
    images = {
        name: random.integers(0, 256, (size.height, size.width, 3), np.uint8)
        for name, size in spec.images.items()
    }
    return Observation(state, images, "touch the red light", request)


def measure(case: Case, protocol: str, requests: int) -> dict[str, Any]:
    """Ask the policy here and there in turns."""
    near = load_policy(build(PolicyConfig, case.parameters))
    with served(protocol, case) as (address, pid):
        remote = {"kind": "remote", "remote.protocol": protocol, "remote.address": address}
        far = load_policy(build(PolicyConfig, {**remote, **PROTOCOLS[protocol]}), connect)
        assert isinstance(far, RemotePolicy)
        with closing(far):
            with Metered([pid]) as energy:
                figures = compare(near, far, requests)
            spent = energy.plain("inference", _WARM_UP + requests)
            return {"protocol": protocol, **figures, "energy": spent}


def compare(near: Policy, far: Policy, requests: int) -> dict[str, Any]:
    """Return the latencies of both, and whether their answers were equal."""
    times_ns: dict[str, list[int]] = {"near": [], "far": []}
    equal = True
    for request in range(_WARM_UP + requests):
        seen = observation(near.spec, request)
        answers = []
        for name, policy in (("near", near), ("far", far)):
            started_ns = time.perf_counter_ns()
            answers.append(policy.infer(seen))
            if request >= _WARM_UP:
                times_ns[name].append(time.perf_counter_ns() - started_ns)
        equal = equal and np.array_equal(answers[0], answers[1])
    quantiles = {
        f"{'in_process' if name == 'near' else 'remote'}_p{share}_ms": round(
            float(np.percentile(values, share)) * 1e-6, 3
        )
        for name, values in times_ns.items()
        for share in (50, 99)
    }
    added = [there - here for here, there in zip(times_ns["near"], times_ns["far"], strict=True)]
    return {
        "requests": requests,
        "answers_equal": equal,
        "request_bytes": seen.state.nbytes + sum(image.nbytes for image in seen.images.values()),
        **quantiles,
        "added_p50_ms": round(float(np.percentile(added, 50)) * 1e-6, 3),
        "added_p99_ms": round(float(np.percentile(added, 99)) * 1e-6, 3),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench remote", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--requests", type=int, default=3000, help="requests per case (default: 3000)")
    parser.add_argument("--case", choices=[case.name for case in CASES], help="run only this one")
    parser.add_argument("--protocol", choices=list(PROTOCOLS), help="run only this one")
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {
        f"{protocol}.{case.name}": measure(case, protocol, options.requests)
        for protocol in PROTOCOLS
        for case in CASES
        if options.case in {None, case.name} and options.protocol in {None, protocol}
    }
    figures["energy"] = {name: figure.pop("energy") for name, figure in figures.items()}
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        print(json.dumps(figures | {"machine": machine}))
    else:
        for name, figure in figures.items():
            for key, value in figure.items():
                print(f"{name}.{key}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
