# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks a policy server that speaks Isaac-GR00T's ZeroMQ protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.requester import AnswerRefused, ServerError
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.policy import gr00t
from lowlat_nodes.transport.zmq.dealer import Dealer

_CONNECT_NS = 2_000_000_000
_DESCRIBE_NS = 10_000_000_000  # servers may be in the middle of an inference
_FRAMES = 3  # the number of the request, the empty frame of REP, the message


class Gr00tClient:
    """A `Requester` for GR00T servers of either generation.

    The servers have a REP socket, which returns the frames before the message as they came; the number of the
    request travels there, and so a late answer is never taken for the next one.

    An observation is `{"video": {KEY: uint8 [B, T, H, W, 3]}, "state": {KEY: float32 [B, T, D]}, "language":
    {KEY: [[str]]}}`, an answer `{"action": {KEY: [B, H, D]}, "info": {...}}`, whatever the generation.

    Args:
        address: `tcp://HOST:PORT` or `ipc:///PATH`; the server need not be there yet.
        token: The server's API token, empty for none. It travels in the clear.

    Raises:
        ConfigurationError: If the address is none.
    """

    def __init__(self, address: str, *, token: str = "") -> None:
        self.counts = Counters()
        self._token = token
        self._dealer = Dealer(
            address, max_bytes=MAX_MESSAGE, max_frames=_FRAMES, keys=None, counts=self.counts
        )
        self._generation = ""

    def describe(self) -> dict[str, Any]:
        """Return the server's `generation` and `modality`; waits up to 2 s for it and 10 s for the answer.

        `modality` is `{"video" | "state" | "action" | "language": {"delta_indices": [int], "modality_keys":
        [str]}}`, keys without the modality's name; empty where the server does not tell.
        """
        self._dealer.connect(time.monotonic_ns() + _CONNECT_NS)
        return self._describe(time.monotonic_ns() + _DESCRIBE_NS)

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> dict[str, Any]:
        """Ask and wait for the answer to this very request; see `Requester`."""
        if self._asks_flat(deadline_ns):
            return _answer_flat(self._call("get_action", gr00t.flatten(observation), deadline_ns))
        data = {"observation": observation, "options": None}
        return _answer_nested(self._call("get_action", data, deadline_ns))

    def reset(self, *, deadline_ns: int) -> None:
        """Tell the server that an episode begins, where it can be told; raises as `request` does."""
        if not self._asks_flat(deadline_ns):
            self._call("reset", {"options": None}, deadline_ns)

    def close(self) -> None:
        """Close the connection."""
        self._dealer.close()

    def _asks_flat(self, deadline_ns: int) -> bool:
        """Return whether the server is of N1.5; asks it once."""
        if not self._generation:
            self._describe(deadline_ns)
        return self._generation == "1.5"

    def _describe(self, deadline_ns: int) -> dict[str, Any]:
        found = self._call("get_modality_config", None, deadline_ns)
        if not isinstance(found, dict):
            raise AnswerRefused(f"the answer cannot be used: expected a map, got {type(found).__name__}")
        try:
            configs = {name: gr00t.decode_modality(item) for name, item in found.items()}
        except WireError as error:
            raise AnswerRefused(f"the answer cannot be used: {error}") from error
        self._generation = next((item.generation for item in configs.values()), "1.6")
        modality = {
            name: {
                "delta_indices": list(item.delta_indices),
                "modality_keys": [key.removeprefix(f"{name}.") for key in item.modality_keys],
            }
            for name, item in configs.items()
        }
        return {"generation": self._generation, "modality": modality}

    def _call(self, endpoint: str, data: Mapping[str, Any] | None, deadline_ns: int) -> Any:
        request: dict[str, Any] = {"endpoint": endpoint}
        if data is not None:
            request["data"] = data
        if self._token:
            request["api_token"] = self._token
        packed = gr00t.encode(request)
        return self._dealer.ask(
            lambda number, _: [number.to_bytes(8, "big"), b"", packed],
            lambda number, answer: _read(answer, number.to_bytes(8, "big")),
            deadline_ns=deadline_ns,
        )


def _read(frames: list[zmq.Frame], number: bytes) -> Any:
    """Return the message in the answer to a request, None if it answers another one."""
    if frames[0].bytes != number:
        return None
    if len(frames) != _FRAMES or len(frames[1]):
        raise AnswerRefused(f"the answer cannot be used: expected one frame, got {len(frames) - 2}")
    data = frames[2].bytes
    if data == gr00t.BARE_ERROR:
        raise ServerError("")
    try:
        message = gr00t.decode(data)
    except WireError as error:
        raise AnswerRefused(f"the answer cannot be used: {error}") from error
    if isinstance(message, dict) and "error" in message:
        raise ServerError(str(message["error"]))
    if message is None:
        raise AnswerRefused("the answer cannot be used: it is nil")
    return message


def _answer_flat(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or not message or not all(key.startswith("action.") for key in message):
        raise AnswerRefused("the answer cannot be used: expected a map of action.KEY, as N1.5 gives it")
    return {"action": {key.removeprefix("action."): value for key, value in message.items()}, "info": {}}


def _answer_nested(message: Any) -> dict[str, Any]:
    fits = isinstance(message, list) and len(message) == 2 and all(isinstance(item, dict) for item in message)
    if not fits:
        raise AnswerRefused("the answer cannot be used: expected [actions, info], as N1.6 gives it")
    return {"action": message[0], "info": message[1]}
