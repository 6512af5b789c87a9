# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that beat over ZeroMQ, as `lowlat top` shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lowlat_nodes.cli.reports import Report
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.peer import PeerState
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.subscriber import Subscriber

_UNKNOWN: Mapping[str, str] = MappingProxyType({})


class Processes:
    """Listens to the heartbeats of publishers, in threads of its own.

    Args:
        endpoints: Where they publish.
        keys: Keys of CURVE for each of them; None in the clear.

    Raises:
        ConfigurationError: If an endpoint is none, or cannot be connected to.
    """

    def __init__(self, endpoints: Sequence[str], keys: Sequence[ClientKeys | None]) -> None:
        self._clock = SteadyClock()
        self._subscribers: dict[str, Subscriber] = {}
        try:
            for endpoint, pair in dict(zip(endpoints, keys, strict=True)).items():
                subscriber = Subscriber(endpoint, {}, clock=self._clock, keys=pair)
                subscriber.start(lambda _message: None)
                self._subscribers[endpoint] = subscriber
        except BaseException:
            self.close()
            raise

    def states(self) -> list[tuple[str, PeerState]]:
        """Return the endpoint and the state of each loop, of the process where none was heard."""
        now_ns = self._clock.now_ns()
        return [
            (endpoint, state)
            for endpoint, subscriber in self._subscribers.items()
            for state in subscriber.peer.states(now_ns)
        ]

    def close(self) -> None:
        """Disconnect."""
        for subscriber in self._subscribers.values():
            subscriber.stop()


def report(endpoint: str, state: PeerState, energy: Mapping[str, str] = _UNKNOWN) -> Report:
    """Return a row of the table, with the values `energy.*` of the process where they are known."""
    values = {"state": state.state, "zmq.endpoint": endpoint, **energy}
    if state.said:
        values["sequence"] = str(state.sequence)
        values["rate_out_hz"] = str(state.rate_hz)
        values["latency_ms"] = str(state.latency_ns * 1e-6) if state.latency_ns else ""
    at = f"at {endpoint}" if state.name else ""
    message = f"{state.explain()} {at}".rstrip() if state.troubled or not state.said else at
    return Report(state.name or endpoint, "loop", _level(state), message, state.for_ns * 1e-9, values)


def plain(endpoint: str, state: PeerState, energy: Mapping[str, str] = _UNKNOWN) -> dict[str, Any]:
    """Return the state of a loop for `--json`; a figure that it did not give is null."""
    heard = bool(state.said)
    return {
        "endpoint": endpoint,
        "name": state.name,
        "level": _level(state),
        "state": state.state,
        "for_s": round(state.for_ns * 1e-9, 3),
        "last_state": state.said,
        "sequence": state.sequence if heard else None,
        "latency_ms": state.latency_ns * 1e-6 if state.latency_ns else None,
        "rate_out_hz": None if math.isnan(state.rate_hz) else round(state.rate_hz, 3),
        "message": state.explain(),
        "values": dict(energy),
    }


def _level(state: PeerState) -> str:
    if state.lost:
        return state.state
    if not state.said:
        return "stale"
    return "warn" if state.troubled else "ok"
