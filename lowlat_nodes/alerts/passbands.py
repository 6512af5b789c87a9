# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Passbands by name, with their effective wavelengths."""

from __future__ import annotations

import numpy as np

PASSBANDS = {
    # ZTF and LSST: the values that the t2 papers use (astronet), from the filter profiles of the surveys.
    "ztf_g": 0.480479,
    "ztf_r": 0.643692,
    "ztf_i": 0.796822,
    "lsst_u": 0.3685,
    "lsst_g": 0.4802,
    "lsst_r": 0.6231,
    "lsst_i": 0.7542,
    "lsst_z": 0.8690,
    "lsst_y": 0.9736,
    # SDSS (Doi et al. 2010), Pan-STARRS1 (Tonry et al. 2012), Bessell (1990), Gaia DR3 (Riello et al. 2021).
    "sdss_u": 0.3551,
    "sdss_g": 0.4686,
    "sdss_r": 0.6166,
    "sdss_i": 0.7480,
    "sdss_z": 0.8932,
    "ps1_g": 0.4866,
    "ps1_r": 0.6215,
    "ps1_i": 0.7545,
    "ps1_z": 0.8679,
    "ps1_y": 0.9633,
    "bessell_u": 0.3605,
    "bessell_b": 0.4413,
    "bessell_v": 0.5512,
    "bessell_r": 0.6585,
    "bessell_i": 0.8060,
    "gaia_g": 0.6390,
}
"""Effective wavelength in um by name."""

NAMES = tuple(PASSBANDS)
"""The names in the order of their codes, which light curves hold."""

CODES = {name: code for code, name in enumerate(NAMES)}

WAVELENGTHS_UM = np.array(list(PASSBANDS.values()))
"""float64 [passbands], by code."""
