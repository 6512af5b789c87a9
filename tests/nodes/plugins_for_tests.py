# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processors as a user would write them, for tests of the node that hosts them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from rosbags.typesys.stores.ros2_jazzy import geometry_msgs__msg__Twist as Twist
from rosbags.typesys.stores.ros2_jazzy import geometry_msgs__msg__Vector3 as Vector3

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Text
from lowlat_nodes.stream.processor import Processor


class Told(Processor):
    """Answers each text with what it was told by its parameters."""

    inputs, outputs = ("question",), ("~/answer",)

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._answer = json.dumps(dict(parameters))

    def process(self, message: Message) -> Sequence[Message]:
        return [message.derive("~/answer", Text(self._answer))]


class Brake(Processor):
    """Drives on unless a laser scan sees something near."""

    inputs, outputs = ("base/scan",), ("cmd_vel",)

    def process(self, message: Message) -> Sequence[Message]:
        near = bool((message.payload.ranges < 1.0).any())
        zero = Vector3(0.0, 0.0, 0.0)
        return [message.derive("cmd_vel", Twist(Vector3(0.0 if near else 0.5, 0.0, 0.0), zero))]


class Gathering(Processor):
    """Says which messages came together; the first waits until it is let go."""

    inputs, outputs = ("numbers",), ("groups",)
    gate = threading.Event()

    def process(self, message: Message) -> Sequence[Message]:
        return list(self.process_batch([message]))

    def process_batch(self, messages: Sequence[Message]) -> Sequence[Message]:
        self.gate.wait(60.0)
        return [messages[-1].derive("groups", np.concatenate([each.payload for each in messages]))]


class Ticking(Processor):
    """Makes results between messages."""

    inputs, outputs = ("question",), ("~/answer",)

    def process(self, message: Message) -> Sequence[Message]:
        return [message.derive("~/answer", message.payload)]

    def advance(self, now_ns: int) -> Iterator[Message]:
        yield Message("~/answer", Text(str(now_ns)))


class Remembering(Processor):
    """Makes no results."""

    inputs = ("question",)
    seen: ClassVar[list[str]] = []

    def process(self, message: Message) -> Sequence[Message]:
        self.seen.append(message.payload.data)
        return []


def make_remembering(_parameters: Mapping[str, Any]) -> Remembering:
    return Remembering()


def make_told(parameters: Mapping[str, Any]) -> Told:
    return Told(parameters)


def make_brake(_parameters: Mapping[str, Any]) -> Brake:
    return Brake()


def make_gathering(_parameters: Mapping[str, Any]) -> Gathering:
    return Gathering()


def make_ticking(_parameters: Mapping[str, Any]) -> Ticking:
    return Ticking()


def make_broken(parameters: Mapping[str, Any]) -> Told:
    return Told({"gain": parameters["gain"]})


def make_nothing(_parameters: Mapping[str, Any]) -> None:
    return None
