# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves a responder to clients that speak Isaac-GR00T's ZeroMQ protocol."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import numpy as np
import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.requester import RequestRefused, Responder
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.policy import gr00t
from lowlat_nodes.transport.zmq.answering import Frames, answer
from lowlat_nodes.transport.zmq.inbox import Arrival
from lowlat_nodes.transport.zmq.router import Router

_MOST_HOPS = 8  # frames of the envelope
_UNAUTHORIZED = "Unauthorized: Invalid API token"  # clients look for this very text


class Gr00tServer:
    """A GR00T server for clients of either generation.

    A client that asks again has given up its last request: only the newest of each one waits. `kill` works
    where a token is set, and given; otherwise anybody could end the server.

    The responder gets `{"video": {KEY: uint8 [B, T, H, W, 3]}, "state": {KEY: float [B, T, D]}, "language":
    {KEY: [[str]]}}` and answers `{"action": {KEY: float32 [B, H, D]}, "info": {...}}`. Its description may
    hold `modality`, in the form of `Gr00tClient.describe`.

    Args:
        responder: Answers.
        address: Where to listen: `tcp://HOST:PORT` (port 0 takes a free one) or `ipc:///PATH`.
        token: What clients must give as their API token, empty for nothing.
        insecure_bind: Listen to other machines too, although the protocol is in the clear.
        generation: In which form modality configurations go out, `1.5` or `1.6`. Observations are taken in
            both, and answered in the form they had.

    Raises:
        ConfigurationError: If the address cannot be had, other machines could reach it, or the generation is
            unknown.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        address: str,
        token: str = "",
        insecure_bind: bool = False,
        generation: str = "1.6",
    ) -> None:
        if generation not in gr00t.GENERATIONS:
            raise ConfigurationError(
                f"expected a GR00T generation of {', '.join(gr00t.GENERATIONS)}, got {generation!r}"
            )
        self._responder = responder
        self._token = token
        self._generation = generation
        self._killed = False
        self._counts = Counters()
        self._router = Router(
            address,
            per_client=1,
            max_bytes=MAX_MESSAGE,
            max_frames=_MOST_HOPS + 2,
            keys=None,
            counts=self._counts,
            in_the_clear=insecure_bind,
        )

    @property
    def address(self) -> str:
        """Return where clients find it."""
        return self._router.endpoint

    def serve(self, pulse: Pulse | None = None) -> None:
        """Answer requests, one at a time and in this thread, until `close`; beats there."""
        try:
            for arrival in self._router.arrivals(pulse or Pulse("policy")):
                answer(arrival, self._router, self, self._counts)
                if self._killed:
                    break
        finally:
            self._router.close()
            self._router.join()

    def close(self) -> None:
        """Let `serve` return; for other threads and signal handlers."""
        self._router.close()

    def counts(self) -> dict[str, int]:
        """Return what happened so far, by name."""
        return self._counts.snapshot()

    def read(self, frames: list[zmq.Frame]) -> tuple[list[bytes], int]:
        """Return the envelope of a request; see `Answers`."""
        envelope = [frame.bytes for frame in frames[:-1]]
        if len(envelope) > _MOST_HOPS or not envelope or envelope[-1]:
            raise WireError("expected an envelope as REQ sockets send it, nobody waits")
        return envelope, 0

    def answer(self, envelope: list[bytes], arrival: Arrival) -> Frames:
        """Have the responder answer."""
        request = self._admit(gr00t.decode(arrival.frames[-1].bytes))
        return [*envelope, gr00t.encode(self._answer(request, arrival.client))]

    def refuse(self, envelope: list[bytes], text: str) -> Frames:
        """Return an error as the answer."""
        return [*envelope, gr00t.encode({"error": text})]

    def _admit(self, request: Any) -> dict[str, Any]:
        """Return the request if it is a map, and has the token where one is asked for."""
        if not isinstance(request, dict):
            raise RequestRefused(f"expected a map, got {type(request).__name__}")
        given = request.get("api_token")
        given = given if isinstance(given, str) else ""
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            raise RequestRefused(_UNAUTHORIZED)
        return request

    def _answer(self, request: Mapping[str, Any], client: str) -> Any:
        endpoint = request.get("endpoint", "get_action")
        if endpoint == "get_action":
            data = request.get("data")
            if not isinstance(data, dict):
                raise RequestRefused("expected the observation as a map in 'data'")
            return self._act(data, client)
        if endpoint == "ping":
            return {"status": "ok", "message": "Server is running"}
        if endpoint == "reset":
            self._responder.reset()
            return {}
        if endpoint == "get_modality_config":
            return self._modality()
        if endpoint == "kill":
            if not self._token:
                raise RequestRefused("kill is for servers that have an API token; end this one where it runs")
            self._killed = True
            return None
        raise RequestRefused("expected get_action, ping, reset, get_modality_config or kill as the endpoint")

    def _act(self, data: dict[str, Any], client: str) -> Any:
        observation = data.get("observation")
        if isinstance(observation, dict):
            answer = self._responder.respond(observation, client)
            return [answer["action"], answer.get("info", {})]
        nested = gr00t.nest(data)
        actions = self._responder.respond(nested, client)["action"]
        single = gr00t.is_single(data)
        return {f"action.{key}": np.squeeze(value) if single else value for key, value in actions.items()}

    def _modality(self) -> dict[str, Any]:
        found = {}
        for name, item in self._responder.describe().get("modality", {}).items():
            prefix = f"{name}." if self._generation == "1.5" and name != "language" else ""
            keys = tuple(f"{prefix}{key}" for key in item["modality_keys"])
            config = gr00t.ModalityConfig(tuple(item["delta_indices"]), keys, self._generation)
            found[name] = gr00t.encode_modality(config)
        return found
