# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy that writes down when it asks for its device and has it, in a file that others append to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from scripted_policy import ScriptedPolicy

from lowlat_nodes.control.policies.policy import Observation

ASKED, HAD, SEGMENT = b"a", b"h", b"s"
"""What the file says: a policy has asked for the device, has it, and a segment of somebody else has ended."""

FILE = "LOWLAT_TEST_EVENTS"


class Diary:
    """A file that several processes append to; what one writes is whole, and in order."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, event: bytes) -> None:
        os.write(self._descriptor, event)

    def close(self) -> None:
        os.close(self._descriptor)


class SharingPolicy(ScriptedPolicy):
    """Leads on, after some work. Its turn says when the request is in the page that all share."""

    def __init__(self) -> None:
        self._turn: Any = None
        self._diary = Diary(Path(os.environ[FILE]))

    @property
    def turn(self) -> Any:
        return self._turn

    @turn.setter
    def turn(self, turn: Any) -> None:
        self._turn = turn
        ask = turn._order.ask

        def noted(deadline_ns: int, now_ns: int) -> bool:
            ours: bool = ask(deadline_ns, now_ns)
            self._diary.note(ASKED)  # whoever ends a segment from here on sees it
            return ours

        turn._order.ask = noted

    def infer(self, observation: Observation) -> np.ndarray:
        self._diary.note(HAD)
        steps = np.arange(1, self.spec.horizon + 1)[:, None] * (self.spec.action_period_ns * 1e-9)
        actions: np.ndarray = observation.state.astype(np.float64) + 0.4 * steps
        return actions


def make(_config: Any) -> SharingPolicy:
    return SharingPolicy()
