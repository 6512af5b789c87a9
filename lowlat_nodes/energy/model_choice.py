# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses among models by what a result of each costs: cheaper at need, dearer where there is room."""

from __future__ import annotations

import math

_CONFIRM_S = 4.0  # a need lasts this long before it counts
_NOISE = 1.05  # of what is allowed: a cost below is not too dear
_ROOM = 0.8  # of the budget: what the dearer model would use at most, for the return to it

_LASTED = 10.0  # times the patience: a return that lasts so long was right
_MOST_PATIENCE = 64.0  # times hold_s


class ModelChoice:
    """Which of a node's models runs, the dearest first.

    It goes to the next cheaper model where the present one was too dear for 4 s. What a result of the two
    costs relative to each other is known after that, and tells what the dearer would cost now: the choice
    returns to it once that has been at most 80 % of what is allowed for `hold_s`, and after twice that time
    where the last return did not last. A dearer model is never tried to see what it costs.

    Attributes:
        index: The present one, 0 for the dearest.
        expected_j: What a result of it was thought to cost when it was chosen; NaN where nobody knew.
    """

    def __init__(self) -> None:
        self.index = 0
        self.expected_j = math.nan
        self._ratios: dict[int, float] = {}  # by index: the cost of the next dearer one to its own
        self._left_j = math.nan  # what a result of the model cost that was left, until the ratio is known
        self._needed_s = self._room_s = 0.0
        self._risen_s, self._patience = math.inf, 1.0

    def learn(self, joules: float) -> None:
        """Take in what a result of the present model costs, once that has settled."""
        if self.index and math.isfinite(self._left_j) and 0.0 < joules < math.inf:
            self._ratios[self.index] = self._left_j / joules
            self._left_j = math.nan

    def step(self, joules: float, load: float, elapsed_s: float, *, hold_s: float, models: int) -> None:
        """Choose.

        Args:
            joules: What a result costs now.
            load: The same as a multiple of what it may cost.
            elapsed_s: Time since the last step.
            hold_s: How long there must be room before the dearer model returns.
            models: How many there are.
        """
        self._risen_s += elapsed_s
        self._needed_s = self._needed_s + elapsed_s if load > _NOISE else 0.0
        if self._needed_s > _CONFIRM_S and self.index + 1 < models:
            # A return that does not last was wrong; the next one takes twice the patience.
            lasted = self._risen_s > _LASTED * self._patience * hold_s
            self._patience = 1.0 if lasted else min(2.0 * self._patience, _MOST_PATIENCE)
            self._left_j, self.expected_j = joules, math.nan
            self._move(1)
            return
        ratio = self._ratios.get(self.index, math.nan)
        self._room_s = self._room_s + elapsed_s if ratio * load < _ROOM else 0.0
        if self._room_s > self._patience * hold_s:
            self._left_j, self._risen_s, self.expected_j = math.nan, 0.0, ratio * joules
            self._move(-1)

    def dearest(self) -> None:
        """Go back to the first model."""
        self.index, self._left_j = 0, math.nan
        self._needed_s = self._room_s = 0.0

    def _move(self, by: int) -> None:
        self.index += by
        self._needed_s = self._room_s = 0.0
