# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets clients of a listening socket in by their keys, and tells of those that did not get in."""

from __future__ import annotations

import threading

import zmq
from zmq.utils.monitor import parse_monitor_message

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.transport.zmq.allowed import AllowedKeys
from lowlat_nodes.transport.zmq.connections import UNKNOWN, WATCHED, Connections, Refused
from lowlat_nodes.transport.zmq.curve import ZAP_ENDPOINT, ServerKeys, answer_zap, secure_server, zap_key
from lowlat_nodes.transport.zmq.refusals import LOGGER, RefusalLog

MAX_CONNECTIONS = 256
"""Of one listening socket, those that say nothing included."""

_LOOK_MS = 1000  # how often the allowed keys are looked at while nobody knocks


class Gate:
    """Answers who may connect to a socket, in a thread that ends when the context of the socket does.

    Args:
        socket: Not bound yet; the only one of its context that has keys.
        keys: Of the server, and of the clients that may come in; None where anybody who can reach it may.
        counts: Where clients whose keys are not allowed (`keys_refused`), connections that fail otherwise
            (`handshakes_refused`), those beyond 256 (`connections_refused`) and those that were cut as keys
            were taken back (`connections_cut`) are counted.
    """

    def __init__(self, socket: zmq.Socket[bytes], keys: ServerKeys | None, counts: Counters) -> None:
        self._keys = keys
        self._counts = counts
        self._log = RefusalLog()
        self._connections = Connections()
        self._requests: zmq.Socket[bytes] | None = None
        if keys is not None:
            self._allowed = AllowedKeys(keys.allowed, keys.watched)
            self._requests = socket.context.socket(zmq.REP)
            self._requests.bind(ZAP_ENDPOINT)
            secure_server(socket, keys)
        self._monitor = socket.get_monitor_socket(WATCHED)
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)
        self._thread.start()

    def listens_at(self, endpoint: str) -> None:
        """Take note of the address, for the log."""
        self._log.where = endpoint

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._monitor, zmq.POLLIN)
        if self._requests is not None:
            poller.register(self._requests, zmq.POLLIN)
        look_ms = _LOOK_MS if self._keys is not None and self._keys.watched else None
        try:
            while True:
                ready = dict(poller.poll(look_ms))
                if look_ms is not None:
                    self._look()
                if self._monitor in ready:
                    self._follow()  # first: it tells of the connections that ask
                if self._requests is not None and self._requests in ready:
                    self._answer(self._requests)
        except zmq.ContextTerminated:
            pass
        finally:
            if self._requests is not None:
                self._requests.close(linger=0)
            self._monitor.close(linger=0)

    def _look(self) -> None:
        """See whether the allowed keys have changed; whose key was taken back does not stay."""
        known, gone = self._allowed.problems, self._allowed.refresh()
        for problem in self._allowed.problems:
            if problem not in known:
                LOGGER.warning("%s: an allowed key is left out: %s", self._log.where, problem)
        if gone:
            # Nothing tells which connection has which key: all are cut, and those that may come back do.
            if cut := self._connections.drop():
                self._counts.add("connections_cut", cut)
            LOGGER.warning(
                "%s: %d keys are not allowed any more; %d connections cut", self._log.where, len(gone), cut
            )

    def _answer(self, requests: zmq.Socket[bytes]) -> None:
        request = requests.recv_multipart()
        self._look()
        reply, known = answer_zap(request, self._allowed)
        if not known:
            self._counts.add("keys_refused")
            address = request[3].decode("ascii", "replace") or UNKNOWN
            key, node = zap_key(request), (self._keys.name if self._keys else "") or "NAME"
            self._log.server(
                address,
                key,
                f"its key is not allowed; if it may come in: lowlat keys allow {node} '{key}'",
            )
        requests.send_multipart(reply)

    def _follow(self) -> None:
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event = parse_monitor_message(self._monitor.recv_multipart())
            self._note(zmq.Event(event["event"]), event["value"])

    def _note(self, kind: zmq.Event, value: int) -> None:
        if kind == zmq.Event.ACCEPT_FAILED:
            self._counts.add("accept_failed")
            self._log.server("a connection", "descriptors", f"it cannot be accepted: {zmq.strerror(value)}")
            return
        refused = self._connections.follow(kind, value)
        if refused is not None:
            self._counts.add("handshakes_refused")
            self._log.server(refused.address, refused.kind, self._reason(refused))
        elif kind == zmq.Event.ACCEPTED and len(self._connections) > MAX_CONNECTIONS:
            self._counts.add("connections_refused", self._connections.drop(value))
            self._log.server(
                self._connections.address(value), "many", f"there are {MAX_CONNECTIONS} connections already"
            )

    def _reason(self, refused: Refused) -> str:
        if refused.kind == "keys" and self._keys is None:
            return "it has keys and we have none; give both of us keys, or neither"
        if refused.kind == "keys":
            return "it comes without keys; give it some: lowlat keys new NAME there, and allow it here"
        if refused.kind == "cryptography" and self._keys is not None:
            return (
                f"it expects another server key, or repeats what somebody else has said; ours is "
                f"'{self._keys.pair.public}'"
            )
        if refused.kind == "silence":
            return "it did not finish the handshake in time"
        if refused.kind == "hung up":
            return "it hung up; a client does so if only one of us has keys, or if it is stopped just then"
        return "it does not speak ZMTP 3 as it should; expected ZeroMQ 4 or newer"
