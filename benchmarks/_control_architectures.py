# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The same tick beside inference in a thread of its process, and beside inference in a process of its own.

A tick takes the newest joint state and publishes a command through rclpy; nothing else differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import rclpy

from lowlat_nodes.benchmarks._bare_loop import late_us
from lowlat_nodes.benchmarks._control_policies import JOINTS, WORK
from lowlat_nodes.benchmarks._control_robot import COMMAND_TOPIC, JOINT_TOPIC
from lowlat_nodes.nodes.child import die_with_parent
from lowlat_nodes.nodes.policy.commands import CommandPublisher
from lowlat_nodes.nodes.realtime import RealtimeConfig, apply, sleep_until
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.transport.ros import prepare_process
from lowlat_nodes.transport.ros.polled import PolledSubscription
from lowlat_nodes.transport.ros.topics import Input

ARCHITECTURES = ("thread", "process")


def infer_forever(worker: str) -> None:
    """Work at normal priority, whatever the thread that started this one has."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    work = WORK[worker]()
    while True:
        work()


def tick(options: argparse.Namespace) -> dict[str, object]:
    """Return quantiles of the lateness in microseconds, and how many deadlines passed without a command."""
    node = rclpy.create_node("probe", start_parameter_services=False, enable_rosout=False)
    publisher = CommandPublisher(node, COMMAND_TOPIC, "positions", JOINTS)
    states = PolledSubscription(
        node, Input(topic=JOINT_TOPIC, type_name="sensor_msgs/msg/JointState", reliability="best_effort")
    )
    command = np.zeros(len(JOINTS))
    granted = apply(RealtimeConfig(priority=options.priority))
    if options.architecture == "thread":
        threading.Thread(target=infer_forever, args=[options.worker], daemon=True).start()
    late, stalls, tick_ns = Histogram(), 0, options.tick_ns
    deadline_ns = (time.monotonic_ns() // tick_ns + 2) * tick_ns
    end_ns = deadline_ns + round(options.seconds * 1e9)
    while deadline_ns < end_ns:
        sleep_until(deadline_ns)
        late.record(time.monotonic_ns() - deadline_ns)
        states.take()
        publisher.publish(command)
        missed = (time.monotonic_ns() - deadline_ns) // tick_ns
        stalls += missed
        deadline_ns += (1 + missed) * tick_ns
    return {
        "sched": granted,
        "tick_late_us": late_us(late),
        "stalls": stalls,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one architecture with one worker and print what came out as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architecture", choices=[*ARCHITECTURES, "worker"])
    parser.add_argument("--worker", choices=list(WORK), required=True)
    parser.add_argument("--tick-ns", type=int, default=2_000_000)
    parser.add_argument("--priority", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args(argv)
    if options.architecture == "worker":
        die_with_parent(os.getppid())
        infer_forever(options.worker)
    worker = None
    if options.architecture == "process":
        worker = subprocess.Popen([sys.executable, "-m", __spec__.name, "worker", "--worker", options.worker])
    prepare_process()
    rclpy.init(args=[])
    try:
        print(json.dumps(tick(options)))
    finally:
        rclpy.try_shutdown()
        if worker is not None:
            worker.kill()
            worker.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
