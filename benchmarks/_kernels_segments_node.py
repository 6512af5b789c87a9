# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One of the two nodes of the benchmark of segments: runs a network of equal layers as its parent tells it.

A line of JSON comes on standard input for each turn to open, one for each run of it, and `{}` to close it;
one goes back for each but the last. The network is a chain of matrix products in one thread: it needs nothing
but NumPy, and its layers cost the same.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.turns.shared import SharedTurn
from lowlat_nodes.stream.errors import ConfigurationError

_WARM_UP_RUNS = 5
_CALIBRATIONS = 4
_PASSES = 5


class Network:
    """A chain of layers whose cost is set by the number of rows that go through it.

    Args:
        layers: How many there are.
        width: Of each.
        cost_s: What a pass should take.
    """

    def __init__(self, layers: int, width: int, cost_s: float) -> None:
        rng = np.random.default_rng(0)
        # Rotations: what goes round for hours neither grows beyond all numbers nor vanishes.
        rotation = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
        self._weights = [rotation[rng.permutation(width)] for _ in range(layers)]
        self._width = width
        rows = 16
        for _ in range(_CALIBRATIONS):
            self._take(rows)
            rows = max(1, round(rows * cost_s / self.cost_s()))
        self._take(rows)

    def run(self, turn: SharedTurn | None) -> None:
        """Go through all layers, and give way between them if there is a turn for that."""
        source, target = self._buffers
        for weights in self._weights:
            np.matmul(source, weights, out=target)
            source, target = target, source
            if turn is not None:
                turn.between()

    def _take(self, rows: int) -> None:
        ones: NDArray[np.float32] = np.ones((rows, self._width), np.float32)
        self._buffers = ones, np.empty_like(ones)

    def cost_s(self) -> float:
        """Return what a pass takes where nothing disturbs it."""
        times_s = []
        for _ in range(_PASSES):
            began_s = time.perf_counter()
            self.run(None)
            times_s.append(time.perf_counter() - began_s)
        return min(times_s)


def _open(order: dict[str, Any], network: Network, segmented: bool) -> SharedTurn:
    turn = SharedTurn(
        order["device"],
        order["name"],
        period_ns=order["period_ns"],
        deadline_ns=order["deadline_ns"],
        folder=Path(order["folder"]),
    )
    for _ in range(_WARM_UP_RUNS):
        with turn.job():
            network.run(turn if segmented else None)
    turn.declare()
    return turn


def _serve(order: dict[str, Any], network: Network, turn: SharedTurn, segmented: bool) -> dict[str, Any]:
    """Answer one request each interval, all of them and in order; or one after the other.

    With `queue` the device is kept for all requests that had come when we got it: that is the order of their
    arrival, in which those of one node need not wait for each other.
    """
    interval_ns, due_ns = order["interval_ns"], order["begin_ns"]
    end_ns = due_ns + order["run_ns"]
    _sleep_until(due_ns)
    responses_ns = []
    while due_ns < end_ns:
        _sleep_until(due_ns)
        with turn.job():
            before_ns = time.monotonic_ns() if order["queue"] else due_ns
            while True:
                network.run(turn if segmented else None)
                done_ns = time.monotonic_ns()
                responses_ns.append(done_ns - due_ns)
                due_ns = due_ns + interval_ns if interval_ns else done_ns
                if due_ns > before_ns:  # it came after a request of the other one
                    break
    return {"responses_ns": responses_ns, "took_ns": time.monotonic_ns() - order["begin_ns"]}


def _hand_over(order: dict[str, Any], turn: SharedTurn) -> dict[str, Any]:
    """Take turns with the other node for nothing, and note when."""
    begins_ns, ends_ns = [], []
    _sleep_until(order["begin_ns"])
    for _ in range(order["jobs"]):
        with turn.job():
            begins_ns.append(time.monotonic_ns())
            _sleep_until(time.monotonic_ns() + order["hold_ns"])  # the other one is waiting by then
            ends_ns.append(time.monotonic_ns())
    return {"begins_ns": begins_ns, "ends_ns": ends_ns}


def _sleep_until(due_ns: int) -> None:
    left_ns = due_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns * 1e-9)


def main() -> None:
    """Serve runs until the parent closes our input."""
    layers, width, cost_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    network = Network(layers, width, cost_s)
    _say({"cost_s": network.cost_s()})
    for line in sys.stdin:
        order = json.loads(line)
        os.sched_setaffinity(0, order["cores"])
        segmented = order["segmented"]
        try:
            turn = _open(order, network, segmented)
        except ConfigurationError as error:
            _say({"refused": str(error)})
            continue
        _say({"refused": ""})
        while go := json.loads(sys.stdin.readline()):
            order |= go
            answer = _hand_over(order, turn) if order["jobs"] else _serve(order, network, turn, segmented)
            _say({**answer, "figures": dict(turn.figures())})
        turn.close()


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
