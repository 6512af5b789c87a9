# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of epochs: units, order, limits, and tables that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.alerts.light_curve_table import read_table
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.stream.errors import ConfigurationError

HEAD = "id,mjd,band,flux,error\n"
FLUXES = """id,mjd,band,flux,error,note
b,59002,ztf_g,1000,100,x
a,59001,ztf_r,-500,50,
b,59000.5,ztf_r,100,100,
b,59002,ztf_r,2000,100,
a,59001,ztf_r,-400,80,again
"""


def written(path: Path, text: str) -> Path:
    file = path / "table.csv"
    file.write_text(text)
    return file


def test_a_table_of_fluxes(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, FLUXES))
    curves = table.light_curves
    assert table.unusable_epochs == 0
    assert curves.object_id == ["b", "a"]
    assert curves.alert_id.tolist() == [0, 1]
    assert curves.offsets.tolist() == [0, 3, 4]
    assert curves.mjd.tolist() == [59000.5, 59002, 59002, 59001]
    assert curves.band[0] == CODES["ztf_r"]
    assert set(curves.flux_njy[1:3]) == {1000, 2000}
    assert curves.flux_njy[3] == -500
    assert curves.detected.tolist() == [False, True, True, True]


def test_a_table_of_magnitudes_with_limits(tmp_path: Path) -> None:
    text = (
        "id,mjd,band,mag,error,limit\n7,59000,lsst_i,,,21.4\n7,59001,lsst_i,18.9,0.01,22\n7,59002,lsst_i,,,\n"
    )
    table = read_table(written(tmp_path, text))
    curves = table.light_curves
    assert table.unusable_epochs == 1  # neither a magnitude nor a limit
    assert curves.object_id == ["7"]
    assert curves.detected.tolist() == [False, True]
    assert curves.flux_njy == pytest.approx([0, 1e5])
    assert curves.error_njy == pytest.approx([2000, 1e5 * 0.01 * 0.921034], rel=1e-6)


def test_passbands_may_have_short_names(tmp_path: Path) -> None:
    rows = "a,59000,g,9,1\na,59001,V,9,1\na,59002,i',9,1\na,59003,ztf_r,9,1\n"
    codes = read_table(written(tmp_path, HEAD + rows)).light_curves.band.tolist()
    assert codes == [CODES[name] for name in ("sdss_g", "bessell_v", "sdss_i", "ztf_r")]


def test_what_is_detected_may_be_told(tmp_path: Path) -> None:
    text = "ID, MJD, Band, flux, error, Detected\na,59000,ztf_g,10,100,1\na,59001,ztf_g,1000,100,0\n"
    assert read_table(written(tmp_path, text)).light_curves.detected.tolist() == [True, False]


def test_rows_without_finite_values_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        "a,59000,ztf_g,nan,9",
        "a,59001,ztf_g,5,0",
        "a,,ztf_g,5,1",
        "a,59001,ztf_g,inf,1",
        "b,59000,ztf_g,5,1",
    ]
    table = read_table(written(tmp_path, HEAD + "\n".join(rows)))
    assert table.unusable_epochs == 4
    assert table.light_curves.offsets.tolist() == [0, 0, 1]


@pytest.mark.dataset
def test_parquet_is_the_same(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [line.split(",") for line in FLUXES.splitlines()[1:]]
    table = arrow.table(
        {
            "id": [row[0] for row in rows],
            "mjd": [float(row[1]) for row in rows],
            "Band": [row[2] for row in rows],
            "flux": np.array([float(row[3]) for row in rows], np.float32),
            "error": [float(row[4]) for row in rows],
        }
    )
    parquet.write_table(table, tmp_path / "table.parquet")
    ours = read_table(tmp_path / "table.parquet").light_curves
    theirs = read_table(written(tmp_path, FLUXES)).light_curves
    assert ours.object_id == theirs.object_id
    for name in ("offsets", "mjd", "band", "flux_njy", "error_njy", "detected"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected the columns id, mjd, band, flux or mag, error"),
        ("id,mjd,flux,error\n", "missing: band"),
        ("id,mjd,band,error\n", "missing: flux or mag"),
        ("id,mjd,band,flux,mag,error\n", "expected flux or mag, got both"),
        (HEAD + "a,59000,ztf_g,1\n", "line 2: expected 5 values .* got 4"),
        (
            HEAD + "a,59000,ztf_g,1,1\na,59000,ztf_g,bright,1\n",
            "row 2: flux: expected a number, got 'bright'",
        ),
        (HEAD + "a,59000,ztfg,1,1\n", "band: 'ztfg' is unknown; did you mean 'ztf_g'"),
        (HEAD + "a,2459000.5,ztf_g,1,1\n", "expected mjd in days, got 2.459e.06; MJD is JD"),
        (HEAD + "a\0,59000,ztf_g,1,1\n" + '"', "expected"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read_table(written(tmp_path, text))


def test_bytes_that_are_no_table_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1")
        with pytest.raises(ConfigurationError, match=r"expected a Parquet file|expected comma-separated"):
            read_table(tmp_path / name)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_table(tmp_path / "none.csv")
