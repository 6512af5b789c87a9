# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame around the parts of `lowlat bench kernels`; each part has tests of its own."""

from __future__ import annotations

import importlib
import json

import pytest

from lowlat_nodes.benchmarks import kernels
from lowlat_nodes.stream.errors import ConfigurationError


def test_a_part_alone_prints_its_fields_with_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert kernels.main(["--part", "profile", "--quick", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["device"] == "cpu"
    assert figures["launch_meter_us"] > 0.0
    assert figures["machine"]["numpy"]


@pytest.mark.parametrize("part", list(kernels.PARTS))
def test_each_part_can_be_measured(part: str) -> None:
    pytest.importorskip("torch")
    assert callable(importlib.import_module(kernels.PARTS[part]).measure)


@pytest.mark.torch
def test_a_gpu_that_is_not_there_is_an_error_and_no_figure(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigurationError, match=r"--device cuda: PyTorch .* sees no NVIDIA GPU here"):
        kernels.main(["--device", "cuda", "--json"])
    assert capsys.readouterr().out == ""
