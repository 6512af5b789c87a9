# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets clients in by their keys where a server socket has no thread of its own that could."""

from __future__ import annotations

import threading

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.transport.zmq.curve import ZAP_ENDPOINT, ServerKeys, answer_zap, secure_server
from lowlat_nodes.transport.zmq.options import REFUSED_HANDSHAKES


class Gate:
    """Answers who may connect to a socket, in a thread that ends when the context of the socket does.

    Args:
        socket: Not bound yet; the only one of its context that has keys.
        keys: Of the server, and of the clients that may come in.
        counts: Where clients whose keys are not allowed (`keys_refused`) and connections that fail
            (`handshakes_refused`) are counted.
    """

    def __init__(self, socket: zmq.Socket[bytes], keys: ServerKeys, counts: Counters) -> None:
        self._allowed = keys.allowed
        self._counts = counts
        self._requests = socket.context.socket(zmq.REP)
        self._requests.bind(ZAP_ENDPOINT)
        secure_server(socket, keys)
        self._monitor = socket.get_monitor_socket(REFUSED_HANDSHAKES)
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (self._requests, self._monitor):
            poller.register(socket, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._requests in ready:
                    reply, known = answer_zap(self._requests.recv_multipart(), self._allowed)
                    if not known:
                        self._counts.add("keys_refused")
                    self._requests.send_multipart(reply)
                if self._monitor in ready:
                    self._monitor.recv_multipart()
                    self._counts.add("handshakes_refused")
        except zmq.ContextTerminated:
            pass
        finally:
            self._requests.close(linger=0)
            self._monitor.close(linger=0)
