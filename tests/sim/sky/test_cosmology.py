# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances against published ones, and volumes."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.sky import cosmology


@pytest.mark.parametrize(
    # Luminosity distances in Mpc for H0 = 70, Omega_m = 0.3, flat, as any cosmology calculator gives them.
    ("redshift", "distance_mpc"),
    [(0.01, 43.2), (0.1, 460.3), (0.5, 2832.9), (1.0, 6607.7)],
)
def test_distances(redshift: float, distance_mpc: float) -> None:
    modulus = cosmology.distance_modulus(redshift)
    assert modulus == pytest.approx(5 * np.log10(distance_mpc) + 25, abs=0.01)
    assert cosmology.redshift_at(modulus) == pytest.approx(redshift, rel=1e-3)


def test_near_by_the_number_grows_with_the_volume() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([cosmology.draw_redshift(rng, 0.02) for _ in range(4000)])
    assert drawn.max() <= 0.02
    assert np.mean(drawn < 0.01) == pytest.approx(1 / 8, abs=0.025)


def test_far_away_it_grows_more_slowly_because_volume_and_time_shrink() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([cosmology.draw_redshift(rng, 1.0) for _ in range(4000)])
    assert np.mean(drawn < 0.5) > 1.15 / 8
