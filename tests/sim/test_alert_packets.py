# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated packets are read as the light curves that they were made of."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.alerts.container import MAGIC
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.sim.alert_packets import (
    LSST_SCHEMA,
    LSST_SCHEMA_NUMBER,
    ZTF_SCHEMA,
    fink_packets,
    lsst_packets,
    ztf_packets,
)
from lowlat_nodes.stream.payload import Packet

fastavro = pytest.importorskip("fastavro")
pytestmark = pytest.mark.alerts

Write = Callable[..., Iterator[Packet]]
WRITERS = {"ztf": ztf_packets, "fink": fink_packets, "lsst": lsst_packets}


def curves(survey: str, number: int = 5) -> LightCurves:
    """Return light curves of detections, limits and what was measured and not detected."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, 30, number)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total = offsets[-1]
    mjd = np.concatenate([60_000.0 + np.sort(rng.uniform(0.0, 90.0, length)) for length in lengths])
    error = rng.uniform(50.0, 500.0, total)
    detected = rng.random(total) < 0.5
    detected[offsets[1:] - 1] = True
    flux = error * np.where(detected, rng.uniform(5.0, 100.0, total), rng.uniform(0.5, 4.5, total))
    flux *= rng.choice([-1.0, 1.0], total)
    flux[~detected & (rng.random(total) < 0.5)] = 0.0
    prefix, letters = ("lsst", "ugrizy") if survey == "lsst" else ("ztf", "gri")
    codes = [CODES[f"{prefix}_{letter}"] for letter in letters]
    ids = 10**18 + 1000 * np.arange(number)
    return LightCurves(
        alert_id=ids,
        object_id=[str(7_000 + alert) if survey == "lsst" else f"ZTF26sim{alert}" for alert in range(number)],
        offsets=offsets,
        mjd=mjd,
        band=rng.choice(codes, total).astype(np.uint8),
        flux_njy=flux,
        error_njy=error,
        detected=detected,
    )


@pytest.fixture
def registry(tmp_path: Path) -> SchemaRegistry:
    (tmp_path / f"{LSST_SCHEMA_NUMBER}.avsc").write_bytes(LSST_SCHEMA)
    return SchemaRegistry(tmp_path)


@pytest.mark.parametrize("survey", WRITERS)
def test_what_is_written_is_read(registry: SchemaRegistry, survey: str) -> None:
    made = curves(survey)
    found = Ingest(registry).read(list(WRITERS[survey](made, cutout_bytes=100)))
    assert found.refused == {}
    assert found.unusable_epochs == found.repeated_epochs == 0
    assert set(found.surveys) == {"lsst" if survey == "lsst" else "ztf"}
    assert set(found.schema_versions) == {"11.0" if survey == "lsst" else "4.02"}
    read = found.light_curves
    assert read.object_id == made.object_id
    for name in ("alert_id", "offsets", "band", "detected"):
        assert np.array_equal(getattr(read, name), getattr(made, name)), name
    np.testing.assert_allclose(read.mjd, made.mjd, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(read.flux_njy, made.flux_njy, rtol=1e-5)
    np.testing.assert_allclose(read.error_njy, made.error_njy, rtol=1e-5)


def test_the_last_detection_raises_the_alert() -> None:
    made = curves("ztf", 1)
    made.detected[:] = False
    made.detected[2] = True
    made.flux_njy[2] = 9_000.0
    [packet] = ztf_packets(made)
    record = next(fastavro.reader(io.BytesIO(packet.data)))
    assert record["candidate"]["jd"] == pytest.approx(made.mjd[2] + 2_400_000.5, abs=1e-9)
    assert not any(row["magpsf"] for row in record["prv_candidates"])


def test_formats() -> None:
    [container] = ztf_packets(curves("ztf", 1))
    assert container.data.startswith(MAGIC)
    assert container.key == b""
    [bare] = fink_packets(curves("ztf", 1))
    assert json.loads(bare.key) == json.loads(ZTF_SCHEMA)
    assert fastavro.schemaless_reader(io.BytesIO(bare.data), fastavro.parse_schema(json.loads(bare.key)))
    [confluent] = lsst_packets(curves("lsst", 1), schema_number=900)
    assert confluent.data.startswith(b"\x00\x00\x00\x03\x84")


@pytest.mark.parametrize("survey", WRITERS)
def test_cutouts_have_the_size_asked_for(survey: str) -> None:
    [small], [large] = (
        list(WRITERS[survey](curves(survey, 1), cutout_bytes=size)) for size in (1000, 21_000)
    )
    assert len(large.data) - len(small.data) == pytest.approx(60_000, abs=10)


@pytest.mark.parametrize("survey", WRITERS)
def test_light_curves_that_no_survey_would_send(survey: str) -> None:
    made = curves(survey, 1)
    made.band[:] = CODES["gaia_g"]
    with pytest.raises(ValueError, match="got gaia_g"):
        list(WRITERS[survey](made))
    made.detected[:] = False
    with pytest.raises(ValueError, match="has none"):
        list(WRITERS[survey](made))
