# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A program for tests: work and calls between two hosts, whose cable is cut for a while.

Run it as `unshare --user --map-root-user --net python cut_requests.py SECONDS HOW`, HOW as for cut_network.
A worker and a caller here work for a sink and a responder on the other host. It prints as JSON what calls
came to during the cut, and how long after the link was back work came, and a call was answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
from cut_network import FAR, Hosts, wait

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.requester import RequestError
from lowlat_nodes.transport.zmq.caller import Caller
from lowlat_nodes.transport.zmq.curve import ClientKeys, KeyPair, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.responder import Responder
from lowlat_nodes.transport.zmq.work_sink import WorkSink
from lowlat_nodes.transport.zmq.work_source import WorkSource

WORK, CALLS = f"tcp://{FAR}:5601", f"tcp://{FAR}:5602"


def serve(server: KeyPair, client: str) -> None:
    """Hand out numbers and answer calls, until the process is killed."""
    keys = ServerKeys(server, frozenset({client}))
    Responder(CALLS, {"echo": lambda call: call.content}, keys=keys).start()
    sink = WorkSink(WORK, "work", keys=keys, window=100)
    print("ready", flush=True)
    number = 0
    while True:
        try:
            sink.write(Message("work", np.array([number])))
            number += 1
        except UndeliveredError:
            continue
        time.sleep(0.005)


class Worker:
    """A thread that works, and knows what was done."""

    def __init__(self, keys: ClientKeys) -> None:
        self.done: set[int] = set()
        self.newest_s = 0.0
        self._keys = keys
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        source = WorkSource(WORK, SystemClock(), keys=self._keys)
        while not self._stopping:
            for message in source.poll(8, 0.1):
                self.done.add(int(message.payload[0]))
                self.newest_s = time.monotonic()
            source.commit()
        source.close()


def main() -> None:
    cut_s, how = float(sys.argv[1]), sys.argv[2]
    server, client = new_pair(), new_pair()
    keys = ClientKeys(client, server.public)
    hosts = Hosts()
    far = subprocess.Popen(
        [*hosts.far, sys.executable, __file__, "serve", server.public, server.secret, client.public],
        stdout=subprocess.PIPE,
    )
    assert far.stdout is not None
    assert far.stdout.readline()
    caller = Caller(CALLS, keys=keys)
    worker = Worker(keys)
    try:

        def call() -> str:
            time.sleep(0.01)
            try:
                caller.call("echo", [b"x"], 0.2)
            except RequestError as error:
                return error.reason
            return "answered"

        wait(lambda: call() == "answered" and worker.done)
        hosts.link(how, up=False)
        end = time.monotonic() + cut_s
        outcomes: dict[str, None] = {}
        while time.monotonic() < end:
            outcomes[call()] = None
        hosts.link(how, up=True)
        back_s = time.monotonic()
        wait(lambda: call() == "answered")
        called_s = time.monotonic() - back_s
        wait(lambda: worker.newest_s > back_s)
        worked_s = worker.newest_s - back_s
        newest = max(worker.done)
        wait(lambda: worker.done >= set(range(newest)))
        print(json.dumps({"outcomes": list(outcomes), "called_s": called_s, "worked_s": worked_s}))
    finally:
        worker.stop()
        caller.close()
        far.kill()
        far.communicate()
        hosts.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(KeyPair(*sys.argv[2:4]), sys.argv[4])
    main()
