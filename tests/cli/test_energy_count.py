# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra: train)")

from lowlat_nodes.cli import energy
from lowlat_nodes.stream.errors import ConfigurationError


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert energy.main(["count", *arguments]) == 0
    return capsys.readouterr().out


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(capsys, *arguments, "--json"))
    return found


def test_text_says_first_that_it_is_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "shapes", "--layers", "2")
    assert text.startswith("modelled: ")
    assert "ISSCC 2014" in text
    assert "818.55 M float32" in text
    assert "not counted: 2 TopK" in text
    assert text.count(" MACs float32 ") == 2


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "alerts", "--shape", "tokens=1,64,5")
    assert found["kind"] == "modelled"
    (model,) = found["models"]
    assert model["inputs"] == {"tokens": [1, 64, 5]}
    assert model["assumed_1"] == []
    assert model["macs"].keys() == {"float32"}
    assert 0.0 < model["arithmetic_j"] < model["sram_j"] < model["dram_j"]
    assert model["spiking"] is None


def test_dimensions_that_nobody_gave_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "taken as 1, for want of --shape: batch, length" in run(capsys, "alerts")


def test_stages_behind_an_exit_against_one_model(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "shapes_int8", "shapes@0.25", "--against", "shapes")
    quick, full = (model["arithmetic_j"] for model in found["models"])
    assert found["total"]["arithmetic_j"] == pytest.approx(quick + 0.25 * full)
    assert found["ratio"]["arithmetic_j"] == pytest.approx(quick / full + 0.25)
    assert "ratio of the two" in run(capsys, "shapes_int8", "shapes@0.25", "--against", "shapes")


def test_a_table_without_memory(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "shapes", "--table", "7nm", "--against", "shapes_int8")
    assert found["total"]["dram_j"] is None
    assert found["ratio"]["dram_j"] is None
    assert found["ratio"]["arithmetic_j"] > 1.0
    assert "no cost in this table" in run(capsys, "shapes", "--table", "7nm")


def test_spikes(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "shapes", "--spike-rate", "0.1", "--steps", "4")["models"][0]["spiking"]
    assert found["kind"] == "modelled"
    assert found["macs"] + found["accumulates"] / 0.4 == pytest.approx(found["dense_macs"])
    assert "with spikes, 0.1 a neuron and step, 4 steps" in run(
        capsys, "shapes", "--spike-rate", "0.1", "--steps", "4"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shapes", "--spike-rate", "0.1"], "give both"),
        (["shapes@2"], "share of inputs from 0 to 1"),
        (["shapes", "--shape", "pictures=1,3,320,320"], "expected an input of images"),
    ],
)
def test_what_does_not_fit(arguments: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        energy.main(["count", *arguments])


@pytest.mark.parametrize("shape", ["images", "images=", "=1,2", "images=1,-3", "images=0"])
def test_what_is_no_shape(capsys: pytest.CaptureFixture[str], shape: str) -> None:
    with pytest.raises(SystemExit):
        energy.main(["count", "shapes", "--shape", shape])
    assert "expected NAME=1,3,640,640" in capsys.readouterr().err
