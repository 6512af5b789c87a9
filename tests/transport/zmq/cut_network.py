# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A program for tests: two hosts in network namespaces, and a cable between them that is cut for a while.

Run it as `unshare --user --map-root-user --net python cut_network.py SECONDS HOW`. It hears a publisher on
the other host, takes the link down at this end (`near`), at the other one (`far`) or has it lose everything
(`lossy`) for so many seconds, and prints as JSON which states it saw meanwhile and how long after the link
was back the next message came.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq.auth

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.zmq.curve import load_client_keys
from lowlat_nodes.transport.zmq.subscriber import Subscriber

NEAR, FAR = "10.213.0.1", "10.213.0.2"
NOBODY = "02:00:00:00:00:99"
PORT = 5599
PATIENCE_S = 60.0
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
PROGRAM = Path(__file__).parent / "beating_process.py"


class Hosts:
    """This network namespace and another one, with a link between them."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").readlink()
        deadline = time.monotonic() + PATIENCE_S
        while Path(f"/proc/{self._holder.pid}/ns/net").readlink() == own:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        there = str(self._holder.pid)
        self.far = ("nsenter", f"--net=/proc/{there}/ns/net")
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", there)
        run("ip", "address", "add", f"{NEAR}/24", "dev", "near")
        run(*self.far, "ip", "address", "add", f"{FAR}/24", "dev", "far")
        for how in ("near", "far"):
            self.link(how, up=True)

    def link(self, how: str, *, up: bool) -> None:
        """Plug the cable in at one end, or pull it; or have packets go to nobody, or no more."""
        if how == "lossy":
            for prefix, device, address in ((), "near", FAR), (self.far, "far", NEAR):
                neighbour = ("neigh", "replace", address, "lladdr", NOBODY, "dev", device)
                forget = ("neigh", "del", address, "dev", device)
                run(*prefix, "ip", *(forget if up else neighbour))
        else:
            prefix = self.far if how == "far" else ()
            run(*prefix, "ip", "link", "set", how, "up" if up else "down")

    def close(self) -> None:
        """End the other host."""
        self._holder.kill()
        self._holder.wait()


def namespaces() -> str:
    """Return why there can be no network namespaces, empty where there can."""
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"no program {program}"
    tried = subprocess.run(
        [*NAMESPACE, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"network namespaces are not permitted: {tried.stderr}" if tried.returncode else ""


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    cut_s, how = float(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("server", "client"):
            Path(zmq.auth.create_certificates(folder, name)[1]).chmod(0o600)
        cut(Hosts(), folder, cut_s, how)


def cut(hosts: Hosts, folder: str, cut_s: float, how: str) -> None:
    keys = load_client_keys(f"{folder}/client.key_secret", f"{folder}/server.key")
    publisher = subprocess.Popen(
        [*hosts.far, sys.executable, str(PROGRAM), f"tcp://{FAR}:{PORT}", "0.25", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    messages: list[Message] = []
    subscriber = Subscriber(f"tcp://{FAR}:{PORT}", {"results": "results"}, clock=SystemClock(), keys=keys)
    subscriber.start(messages.append)
    try:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        assert publisher.stdout.readline()

        def work() -> str:
            """Have something published, and return how the publisher is seen."""
            print("work", file=publisher.stdin, flush=True)
            time.sleep(0.01)
            return subscriber.peer.states(time.monotonic_ns())[0].state

        wait(lambda: work() and messages)
        hosts.link(how, up=False)
        seen: dict[str, None] = {}
        end = time.monotonic() + cut_s
        while time.monotonic() < end:
            seen[work()] = None
        messages.clear()
        hosts.link(how, up=True)
        back = time.monotonic()
        wait(lambda: work() and messages)
        after_s = time.monotonic() - back
        wait(lambda: work() in {"running", "idle"})
        print(json.dumps({"seen": list(seen), "recovered_s": after_s, "broken": subscriber.link.broken}))
    finally:
        subscriber.stop()
        publisher.kill()
        publisher.communicate()
        hosts.close()


def wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.001)


if __name__ == "__main__":
    main()
