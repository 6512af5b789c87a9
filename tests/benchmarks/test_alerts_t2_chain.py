# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The chain that the benchmark compares with does what it says, on packets made here and on real ones."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES

pytest.importorskip("torch")
pytest.importorskip("onnx")
fastavro = pytest.importorskip("fastavro")
pytest.importorskip("george")
pytest.importorskip("scipy")
pytestmark = [pytest.mark.torch, pytest.mark.alerts]

EPOCH = [
    {"name": "jd", "type": "double"},
    {"name": "fid", "type": "int"},
    {"name": "magpsf", "type": ["null", "float"]},
    {"name": "sigmapsf", "type": ["null", "float"]},
    {"name": "isdiffpos", "type": ["null", "string"]},
]
SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "candid", "type": "long"},
        {"name": "objectId", "type": "string"},
        {"name": "candidate", "type": {"type": "record", "name": "candidate", "fields": EPOCH}},
        {"name": "prv_candidates", "type": ["null", {"type": "array", "items": "candidate"}]},
    ],
}


def alert(count: int) -> dict[str, Any]:
    epochs = [
        {
            "jd": 2459000.5 + 3.0 * number,
            "fid": 1 + number % 2,
            "magpsf": 19.0 - 0.1 * number,
            "sigmapsf": 0.05,
            "isdiffpos": "t",
        }
        for number in range(count)
    ]
    limit = {"jd": 2458990.5, "fid": 1, "magpsf": None, "sigmapsf": None, "isdiffpos": None}
    return {
        "candid": 7,
        "objectId": "ZTF1",
        "candidate": epochs[-1],
        "prv_candidates": [*epochs[:-1], limit],
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    import torch

    from lowlat_nodes.train.t2.graph import write_onnx
    from lowlat_nodes.train.t2.model import OURS, ScaledT2

    torch.manual_seed(0)
    write_onnx(ScaledT2().network.state_dict(), tmp_path / "t2.onnx", OURS)
    return tmp_path / "t2.onnx"


def test_containers_and_records_give_the_same_result(model: Path) -> None:
    from lowlat_nodes.benchmarks._alerts_t2_chain import STAGES, T2Chain

    container, record = io.BytesIO(), io.BytesIO()
    fastavro.writer(container, SCHEMA, [alert(8)])
    fastavro.schemaless_writer(record, SCHEMA, alert(8))
    chain = T2Chain(model)
    found = chain.classify_packet(container.getvalue())
    assert found == T2Chain(model, SCHEMA).classify_packet(record.getvalue())
    assert found["detections"] == 8
    assert list(found["probabilities"]) == list(CLASSES)
    assert sum(found["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert json.loads(found["serialised"])["candid"] == 7
    assert chain.packets == 1
    assert all(chain.stages_us()[stage] > 0.0 for stage in STAGES)


def test_what_it_interpolates_is_what_our_own_fit_finds() -> None:
    from lowlat_nodes.alerts.gaussian_process import interpolate
    from lowlat_nodes.alerts.lightcurve import LightCurves
    from lowlat_nodes.alerts.passbands import CODES, PASSBANDS
    from lowlat_nodes.benchmarks import _alerts_t2_chain as chain

    days, wavelength, flux, error = chain.light_curve(alert(12))
    mean, deviation, span = chain.interpolate(days, wavelength, flux, error)
    names = ("ztf_g", "ztf_r")
    curves = LightCurves(
        np.array([1]),
        ["one"],
        np.array([0, 12]),
        days,
        np.where(wavelength < 5000.0, CODES[names[0]], CODES[names[1]]).astype(np.uint8),
        flux,
        error,
        np.ones(12, bool),
    )
    ours = interpolate(curves, [PASSBANDS[name] for name in names])
    assert span == pytest.approx(ours.span_days[0])
    np.testing.assert_allclose(mean, ours.flux_njy[0], rtol=0.02)
    assert np.median(deviation / ours.error_njy[0]) == pytest.approx(1.0, abs=0.1)


def test_real_packets_are_classified(model: Path, data_dir: Path) -> None:
    from lowlat_nodes.benchmarks._alerts_t2_chain import T2Chain

    packets = sorted((data_dir / "alerts" / "ztf" / "ampel_2018-08-19").glob("*.avro"))
    if not packets:
        pytest.skip("no ZTF packets among the recorded data")
    chain = T2Chain(model)
    for path in packets:
        found = chain.classify_packet(path.read_bytes())
        assert found["object_id"].startswith("ZTF")
        assert found["detections"] >= 1
        assert np.isfinite(list(found["probabilities"].values())).all()
