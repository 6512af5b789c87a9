# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The mean spectrum of type Ia supernovae over time, as passbands see it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import MissingExtra

FIRST_DAYS = -18.0
LAST_DAYS = 200.0
_TABULATED_DAYS = 85.0
_FIREBALL_UNTIL_DAYS = -11.0
_STEP_DAYS = 1.0
_PASSBAND_LN_WIDTH = 0.21
_LN_SHORTEST = np.log(0.11)
_LN_LONGEST = np.log(1.6)
_LN_STEP = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """ln f_nu on a regular grid, 0 at the maximum of B at 0.44 um.

    Attributes:
        ln_flux: float64 [phases, wavelengths], from `FIRST_DAYS` from 0.11 um in steps of 0.01 of ln.
    """

    ln_flux: NDArray[np.float64]

    def __call__(
        self, phase_days: NDArray[np.float64], ln_wavelength: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return ln of f_nu, float64 [n], interpolated linearly; the edges hold beyond the grid."""
        phases, wavelengths = self.ln_flux.shape
        row = np.clip((phase_days - FIRST_DAYS) / _STEP_DAYS, 0.0, phases - 1.001)
        column = np.clip((ln_wavelength - _LN_SHORTEST) / _LN_STEP, 0.0, wavelengths - 1.001)
        i, j = row.astype(np.int64), column.astype(np.int64)
        row -= i
        column -= j
        at = i * wavelengths + j
        flat = self.ln_flux.reshape(-1)
        above = flat[at] * (1 - column) + flat[at + 1] * column
        below = flat[at + wavelengths] * (1 - column) + flat[at + wavelengths + 1] * column
        interpolated: NDArray[np.float64] = above * (1 - row) + below * row
        return interpolated


@functools.cache
def template() -> Template:
    """Return the template of Hsiao et al. (2007), which sncosmo ships, smoothed to the width of passbands.

    f_nu is averaged over 0.21 in ln of the wavelength: the width of g, r and i, whatever the redshift. Before
    day -11 the flux grows as the square of time (Nugent et al. 2011), after day 85 it decays at the pace of
    cobalt 56 with full escape of gamma rays, 0.014 mag a day (Lair et al. 2006).

    Raises:
        MissingExtra: If sncosmo is not installed.
    """
    try:
        import sncosmo
    except ImportError as error:
        raise MissingExtra("sncosmo", "sky") from error
    phases = np.arange(FIRST_DAYS, LAST_DAYS + 0.5 * _STEP_DAYS, _STEP_DAYS)
    margin = _PASSBAND_LN_WIDTH / 2
    fine = np.arange(_LN_SHORTEST - margin, _LN_LONGEST + margin, _LN_STEP / 2)
    wavelengths = np.exp(fine)
    tabulated = np.clip(phases, _FIREBALL_UNTIL_DAYS, _TABULATED_DAYS)
    source = sncosmo.get_source("hsiao-subsampled")
    f_nu = source.flux(tabulated, np.clip(wavelengths, 0.1, 2.4) * 1e4) * wavelengths**2
    within = np.cumsum(np.pad(f_nu, ((0, 0), (1, 0))), axis=1)
    width = int(_PASSBAND_LN_WIDTH / (_LN_STEP / 2))
    smooth = np.maximum(within[:, width:] - within[:, :-width], 0.0)[:, ::2]
    smooth = smooth[:, : int((_LN_LONGEST - _LN_SHORTEST) / _LN_STEP) + 1]
    # Blue light that the template has none of before it rises is not exactly none.
    ln_flux = np.log(np.maximum(smooth, 1e-6 * smooth.max(axis=1, keepdims=True)))
    fireball = (np.minimum(phases, _FIREBALL_UNTIL_DAYS) - FIRST_DAYS) / (_FIREBALL_UNTIL_DAYS - FIRST_DAYS)
    ln_flux += 2 * np.log(np.maximum(fireball, 1e-4))[:, None]
    ln_flux -= 0.4 * np.log(10) * 0.014 * np.maximum(phases - _TABULATED_DAYS, 0.0)[:, None]
    blue = round((np.log(0.44) - _LN_SHORTEST) / _LN_STEP)
    return Template(np.ascontiguousarray(ln_flux - ln_flux[:, blue].max()))
