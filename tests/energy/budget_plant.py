# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A node whose power follows its rate, late and with noise: what a budget has to hold."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field

from lowlat_nodes.energy.budget import Budget, Leeway, Order
from lowlat_nodes.energy.headline import Headline
from lowlat_nodes.stream.meter import Kind

S = 1_000_000_000


@dataclass
class Plant:
    """Power of `base_w + joules * natural_hz * (rate / natural_hz) ** power`, per model.

    Attributes:
        natural_hz: Its rate where nothing limits it.
        joules: Energy of a result at the natural rate, of each model.
        base_w: What it uses without any result.
        power: Of the rate.
        noise: Standard deviation of the power of a window, relative.
        late: Windows until an order takes effect.
    """

    natural_hz: float
    joules: list[float]
    base_w: float = 0.0
    power: float = 1.0
    noise: float = 0.0
    late: int = 1
    seed: int = 0
    regression: float = float("nan")  # of the true cost
    orders: deque[Order] = field(init=False)

    def __post_init__(self) -> None:
        self.orders = deque([Order()] * (self.late + 1), maxlen=self.late + 1)
        self.random = random.Random(self.seed)

    def watts(self, rate_hz: float, model: int = 0) -> float:
        """The true power at a rate."""
        share = rate_hz / self.natural_hz
        return self.base_w + self.joules[model] * self.natural_hz * share**self.power

    def use(self) -> Headline:
        """What the sampler says of the window that ends now."""
        order = self.orders[0]
        rate_hz = min(self.natural_hz, order.max_hz)
        watts = max(0.0, self.watts(rate_hz, order.model) * self.random.gauss(1.0, self.noise))
        known = not math.isnan(self.regression)
        joules = self.joules[order.model] * self.regression if known else watts / rate_hz
        return used(
            watts, rate_hz, joules, 0.1 * joules if known else 0.0, "regression" if known else "share"
        )

    def now(self) -> tuple[float, float, int]:
        """The true power, the rate, and the model."""
        order = self.orders[0]
        rate_hz = min(self.natural_hz, order.max_hz)
        return self.watts(rate_hz, order.model), rate_hz, order.model


def used(
    watts: float,
    rate_hz: float,
    joules: float = math.nan,
    error_j: float = math.nan,
    method: str = "",
    kind: Kind = Kind.MEASURED,
) -> Headline:
    """What a node used."""
    return Headline(
        kind,
        ("meter",),
        watts=watts,
        rate_hz=rate_hz,
        joules_per_result=joules,
        error_j=error_j,
        method=method,
    )


def run(
    budget: Budget, plant: Plant, seconds: int, start_s: int = 0, *, floor_hz: float = 0.001
) -> list[tuple[Order, float, float]]:
    """Let a budget judge a node each second; return the order, the true power and the true rate of each."""
    history = []
    for second in range(start_s, start_s + seconds):
        order = budget.judge(plant.use(), Leeway(floor_hz, len(plant.joules)), second * S)
        plant.orders.append(order)
        watts, rate_hz, _ = plant.now()
        history.append((order, watts, rate_hz))
    return history
