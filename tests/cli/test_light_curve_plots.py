# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of light curves, read as SVG: units, names, and light curves with little in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.result import ABSTAINED
from lowlat_nodes.cli.light_curve_plots import LightCurvePlots
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Record

pytest.importorskip("matplotlib")


def drawn(path: Path, *epochs: tuple[str, float, bool], name: str = "me", **fields: object) -> str:
    """Return the picture of a light curve with epochs of (passband, flux, detected), as text."""
    curves = LightCurves(
        np.array([5]),
        [name],
        np.array([0, len(epochs)]),
        60000.0 + np.arange(len(epochs)),
        np.array([CODES[epoch[0]] for epoch in epochs], np.uint8),
        np.array([epoch[1] for epoch in epochs], np.float64),
        np.full(len(epochs), 100.0),
        np.array([epoch[2] for epoch in epochs], np.bool_),
    )
    p = dict.fromkeys(CLASSES, 0.0) | {"TDE": 0.75, "AGN": 0.25}
    plots = LightCurvePlots(path / "picture.svg")
    plots.add(curves, [Record({"object_id": name, "alert_id": 5, "best": "TDE", "p": p, **fields})])
    plots.close()
    return (path / "picture.svg").read_text()


def test_detections_are_in_magnitudes(tmp_path: Path) -> None:
    text = drawn(tmp_path, ("ztf_g", 1e4, True), ("ztf_r", 2e4, True), ("ztf_i", 0.0, False))
    for word in ("AB magnitude", "me", "TDE, 75 %", "25 %", "days since MJD 60000", ">g<", ">r<"):
        assert word in text
    assert ">i<" not in text  # never detected


def test_what_fell_below_its_template_is_in_flux(tmp_path: Path) -> None:
    text = drawn(tmp_path, ("lsst_u", -1e4, True), ("lsst_u", 50.0, False), ("ztf_g", 0.0, False))
    assert "flux, µJy" in text
    assert ">lsst u<" in text


@pytest.mark.parametrize("epochs", [[], [("gaia_g", 0.0, False)], [("bessell_v", 1e4, True)]])
def test_light_curves_with_little_in_them(tmp_path: Path, epochs: list[tuple[str, float, bool]]) -> None:
    assert "AB magnitude" in drawn(tmp_path, *epochs)


def test_what_is_not_known(tmp_path: Path) -> None:
    text = drawn(tmp_path, ("ztf_g", 1e4, True), best=ABSTAINED, p=dict.fromkeys(CLASSES))
    assert ABSTAINED in text
    assert text.count("?<") == len(CLASSES)


def test_names_from_outside_stay_in_the_folder(tmp_path: Path) -> None:
    plots = LightCurvePlots(tmp_path / "pictures")
    curves = LightCurves(
        np.array([1]),
        ["../../a b"],
        np.array([0, 1]),
        np.array([60000.0]),
        np.array([0], np.uint8),
        np.array([1e4]),
        np.array([10.0]),
        np.array([True]),
    )
    p = dict.fromkeys(CLASSES, 1 / 12)
    plots.add(curves, [Record({"object_id": "../../a b", "alert_id": 1, "best": ABSTAINED, "p": p})])
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == [".._.._a_b-1.png"]


def test_no_picture_where_nothing_came(tmp_path: Path) -> None:
    LightCurvePlots(tmp_path / "picture.png").close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write to"):
        LightCurvePlots(tmp_path / "file" / "picture.png")
