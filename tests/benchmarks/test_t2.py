# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench t2` climbs the whole ladder and prints one JSON object, or the table of the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.benchmarks import t2

torch = pytest.importorskip("torch")
for module in ("onnx", "sncosmo", "george", "scipy"):
    pytest.importorskip(module)
pytestmark = [pytest.mark.torch, pytest.mark.sky]


def test_it_prints_one_json_object_with_a_row_for_each_rung(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lowlat_nodes.train.t2.graph import write_onnx
    from lowlat_nodes.train.t2.ladder import LADDER
    from lowlat_nodes.train.t2.model import OURS, ScaledT2

    torch.manual_seed(0)
    write_onnx(ScaledT2().network.state_dict(), tmp_path / "t2.onnx", OURS)
    few = ["--objects", "100", "--seconds", "0.1", "--rounds", "5"]
    assert t2.main(["--json", "--model", str(tmp_path / "t2.onnx"), *few]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures["rungs"]) == list(LADDER)
    assert np.float32(1e-40) * np.float32(1.0) > 0.0  # this thread computes as before
    assert figures["parameters"] == 13_292
    forms = {"onnx", "ort", "safetensors", "onnx_zip", "ort_zip", "safetensors_zip"}
    for rung in figures["rungs"].values():
        assert rung["bytes"].keys() == rung["load_ms"].keys() == forms
        for times in ("network_us", "network_ort_us", "network_flushed_us"):
            assert rung[times].keys() == {"single", "single_p90", "batched"}
        assert rung["with_gp_us"]["single"] > rung["network_us"]["single"]
        assert rung["sim_log_loss"] > 0.0
        assert 0.0 <= rung["sim_macro_f1"] <= 1.0
    sizes = {name: rung["bytes"] for name, rung in figures["rungs"].items()}
    assert sizes["int8"]["onnx"] < 0.7 * sizes["fp32"]["onnx"]
    for name in ("all_clustered", "all_clustered_pruned"):
        assert sizes[name]["safetensors"] < 0.3 * sizes["fp32"]["safetensors"]
    assert sizes["all_clustered"]["onnx_zip"] < sizes["last_clustered"]["onnx_zip"]
    assert figures["size_ratio"]["any_format"] > figures["size_ratio"]["onnx"] > 1.0
    assert {"fitted_single", "fixed_batched", "george_fitted_single", "epochs"} <= figures["gp_us"].keys()
    table = t2.table(figures).splitlines()
    assert len(table) == 2 + len(LADDER)
    assert {line.count("|") for line in table} == {14}


def test_arguments_that_measure_nothing_are_refused() -> None:
    with pytest.raises(SystemExit):
        t2.main(["--objects", "5"])
