# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light that diffuses out of what an explosion throws out (Arnett 1982)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NICKEL_DAYS = 8.8
_COBALT_DAYS = 111.3


def diffused(
    phase_days: NDArray[np.float64], power: NDArray[np.float64], diffusion_days: float
) -> NDArray[np.float64]:
    """Return the luminosity of homologously expanding ejecta that something heats from within.

    Args:
        phase_days: float64 [n], rising from near 0.
        power: float64 [n], what heats them.
        diffusion_days: Time scale of diffusion.

    Returns:
        float64 [n], in the units of the power.
    """
    x = np.minimum(phase_days / diffusion_days, 20.0)
    step = np.diff(x, prepend=0.0)
    source = 2 * x * power
    rising = np.exp(np.minimum(x * x, 300.0))
    inner = np.cumsum((source * rising + np.concatenate([[0.0], (source * rising)[:-1]])) * 0.5 * step)
    # Beyond some diffusion times everything comes out as it goes in.
    return np.where(x < 8.0, inner / rising, power)


def radioactive_power(phase_days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the heating by nickel 56 and cobalt 56, 1 at the start (Nadyozhin 1994)."""
    nickel = np.exp(-phase_days / _NICKEL_DAYS)
    cobalt = np.exp(-phase_days / _COBALT_DAYS)
    return (6.45 * nickel + 1.45 * cobalt) / 7.9


def magnetar_power(phase_days: NDArray[np.float64], spin_down_days: float) -> NDArray[np.float64]:
    """Return the heating by a young magnetar that spins down, 1 at the start (Kasen and Bildsten 2010)."""
    return (1 + phase_days / spin_down_days) ** -2
