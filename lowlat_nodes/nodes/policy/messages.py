# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of the policy node tell each other, as msgpack over `transport.channel`.

========= ========= =======================================================================
from      to        messages
========= ========= =======================================================================
node      tick      `setup`, `policy` (with a channel to the worker), `corrector` (with one
                    to the corrector), `cameras` (with one to the camera server), `task`,
                    `activate`, `deactivate`, `start`, `stop`, `pace`
tick      node      `ready` or `refused`, `status`, `inference`
node      worker    `setup` (with a channel to the cameras), `tick` (with one to the tick)
worker    node      `ready` or `refused`, `figures` of a device that it shares
tick      worker    `launch`
worker    tick      `answer`, `failed`
node      corrector `setup` (with a channel to the cameras), `tick` (with one to the tick)
corrector node      `ready` or `refused`
tick      corrector `moment`
corrector tick      `correction`, `failed`
node      tick      `changed`, from its camera server
both      node      `look`, to its camera server
node      both      `images` (with the memory that they are in)
========= ========= =======================================================================
"""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats
from lowlat_nodes.transport.channel import MAX_MESSAGE

LONGEST_REASON = 2000
LONGEST_TASK = 4096
"""Characters of a task."""

HISTORY_ROOM = MAX_MESSAGE // 2
"""Bytes of a launch for the measured states since the last one."""

_REST_OF_LAUNCH = 4 * LONGEST_TASK + 1024
_REST_OF_ANSWER = 16_384


def check_size(spec: PolicySpec) -> None:
    """Refuse a policy whose chunks, or the plans that it continues, do not fit into a message.

    Raises:
        ConfigurationError: With the sizes.
    """
    joints, plan = len(spec.delta), 0
    if {"prefix", "guidance"} & set(spec.accepts):
        plan = spec.horizon
    for what, rows, room in (
        ("chunks", spec.horizon, MAX_MESSAGE - _REST_OF_ANSWER),
        ("states and plans to continue", 2 + plan, MAX_MESSAGE - HISTORY_ROOM - _REST_OF_LAUNCH),
    ):
        if 8 * rows * joints > room:
            raise ConfigurationError(
                f"the policy's horizon of {spec.horizon} for {joints} joints makes {what} of "
                f"{8 * rows * joints} bytes; expected at most {room}"
            )


def brief(reason: str) -> str:
    """Return the start of a reason: what it quotes from outside may be longer than a message."""
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 4]} ..."


def pack(kind: str, **content: Any) -> bytes:
    """Return a message; arrays must be given as bytes."""
    data: bytes = msgpack.packb({"kind": kind, **content})
    return data


def unpack(data: bytes) -> tuple[str, dict[str, Any]]:
    """Return the kind and the content of a message of `pack`."""
    content = msgpack.unpackb(data, max_str_len=MAX_MESSAGE, max_bin_len=MAX_MESSAGE, max_ext_len=0)
    return content.pop("kind"), content


def floats(data: bytes, columns: int = 0) -> Floats:
    """Return bytes as float64 [n], or [n, columns] where given."""
    values = np.frombuffer(data, np.float64)
    return values.reshape(-1, columns) if columns else values
