# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of sources measure: magnitudes at 10 pc, before any dust."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.sky.explosion import Source

Measure = Callable[[Source, np.ndarray, float], np.ndarray]


def _absolute_mag(source: Source, phase_days: np.ndarray, wavelength_um: float) -> np.ndarray:
    flux = source.flux_njy(phase_days, np.full(len(phase_days), wavelength_um))
    return 31.4 - 2.5 * np.log10(np.maximum(flux, 1e-30))


@pytest.fixture
def absolute_mag() -> Measure:
    """Return absolute AB magnitudes of a source at phases, at one wavelength."""
    return _absolute_mag
