# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How a node is told to share, and what it does to loading a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import WIDTH, denoising

from lowlat_nodes.inference import backends
from lowlat_nodes.inference.backend_settings import ONE_THREAD, BackendSettings
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.segments.segmented import SegmentedModel
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing, SharingSettings, open_sharing
from lowlat_nodes.inference.turn import UNSHARED, Unshared
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

ROWS = np.random.default_rng(0).normal(size=(256, WIDTH)).astype(np.float32)
FURTHER = {"state": ROWS, "noise": ROWS}


class Counting(Unshared):
    def __init__(self) -> None:
        self.gaps = 0

    def between(self) -> None:
        self.gaps += 1


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_nothing_is_shared_unless_a_device_is_named() -> None:
    sharing = open_sharing(SharingSettings(), "/node")
    assert sharing is ALONE
    assert not sharing.is_shared
    assert sharing.turn is UNSHARED
    assert list(sharing.warm_ups()) == [0]
    assert not sharing.turn.figures()


def test_a_device_is_shared_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWLAT_TURN_DIR", str(tmp_path / "turns"))
    settings = build(SharingSettings, {"device": "cpu0", "segment_ms": 4.0})
    sharing = open_sharing(settings, "/node")
    assert sharing.is_shared
    assert sharing.segment_ms == 4.0
    assert sharing.turn.figures()["turn.device"] == "cpu0"
    assert len(list(sharing.warm_ups())) > 2
    sharing.turn.close()


def test_segments_without_a_device_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"turn\.segment_ms.*give turn\.device"):
        SharingSettings(segment_ms=3.0)


def test_a_model_is_cut_only_where_it_is_wished_for(tmp_path: Path) -> None:
    path = denoising(tmp_path / "policy.onnx", 8, depth=12)
    whole = backends.load(path, ONE_THREAD, further=FURTHER)
    assert isinstance(whole.model, OnnxModel)
    assert whole.cut is None
    feed = {name: values[:5] for name, values in FURTHER.items()}
    (expected,) = whole.model.run(feed, ["actions"])
    turn = Counting()
    for settings in (ONE_THREAD, BackendSettings(spinning="never")):  # one way, and several to choose from
        for _ in range(2):  # the second time the choice comes from the cache
            loaded = backends.load(path, settings, further=FURTHER, sharing=Sharing(turn, 2.0))
            assert {loaded.candidate.backend, loaded.candidate.device} == {"onnxruntime", "cpu"}
            assert isinstance(loaded.model, SegmentedModel)
            assert loaded.cut is not None
            assert f"in {loaded.model.parts} parts" in loaded.as_text()
            turn.gaps = 0
            (got,) = loaded.model.run(feed, ["actions"])
            assert turn.gaps == loaded.model.parts - 1 > 0
            tolerance = 0 if loaded.candidate.threads == 1 else 1e-5
            np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = denoising(tmp_path / "policy.onnx")
    settings = BackendSettings(kind="openvino")
    with pytest.raises(ConfigurationError, match=r"turn\.segment_ms: expected a model that ONNX Runtime"):
        backends.load(path, settings, sharing=Sharing(Counting(), 1.0))
    assert backends.load(path, settings, further=FURTHER, sharing=Sharing(Counting())).cut is None
