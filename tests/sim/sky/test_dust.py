# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The law of dust against the table of its paper, and how much of it there is."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.sky import dust


@pytest.mark.parametrize(
    # Cardelli, Clayton and Mathis (1989), table 3: A(lambda) / A(V) for R(V) = 3.1.
    ("wavelength_um", "relative"),
    [(0.365, 1.569), (0.44, 1.337), (0.55, 1.000), (0.70, 0.751), (0.90, 0.479), (1.25, 0.282)],
)
def test_the_law_is_the_published_one(wavelength_um: float, relative: float) -> None:
    # O'Donnell's optical law differs from the first one by a few per cent.
    found = dust.extinction_mag(np.log([wavelength_um]), 1.0, 3.1)[0]
    assert found == pytest.approx(relative, rel=0.05)


def test_the_ultraviolet_has_its_bump() -> None:
    short, bump, long = dust.extinction_mag(np.log([0.18, 0.2175, 0.26]), 1.0, 3.1)
    assert bump > short
    assert bump > long


def test_low_ratios_redden_more() -> None:
    blue, red = np.log([0.44]), np.log([0.70])
    steep = dust.extinction_mag(blue, 1.0, 2.0) - dust.extinction_mag(red, 1.0, 2.0)
    grey = dust.extinction_mag(blue, 1.0, 4.0) - dust.extinction_mag(red, 1.0, 4.0)
    assert steep[0] > grey[0]


def test_draws() -> None:
    rng = np.random.default_rng(3)
    galactic = np.array([dust.draw_galactic(rng) for _ in range(2000)])
    assert np.median(galactic) == pytest.approx(0.04, rel=0.1)
    hosts = np.array([dust.draw_host(rng, mean_ebv=0.2, clear=0.25) for _ in range(2000)])
    assert np.mean(hosts[:, 0] == 0) == pytest.approx(0.25, abs=0.04)
    behind = hosts[hosts[:, 0] > 0]
    assert np.mean(behind[:, 0] / behind[:, 1]) == pytest.approx(0.2, rel=0.1)
