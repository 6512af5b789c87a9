# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat kernels` says what runs here and what is missing; test_compile.py has `--compile`."""

from __future__ import annotations

import json

import pytest

from lowlat_nodes.cli.main import main
from lowlat_nodes.kernels import registry
from lowlat_nodes.kernels.registry import load_all


def test_each_implementation_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(load_all())
    letterbox = {(each["device"], each["module"]): each["missing"] for each in found["letterbox"]}
    assert letterbox["ref", "reference"] == letterbox["cpu", "cpu"] == ""
    assert ("cuda", "cuda") in letterbox
    assert main(["kernels"]) == 0
    out = capsys.readouterr().out
    assert out.count("\nletterbox\n") == 1
    assert "  ref   reference            runs here" in out


def test_what_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_installed", lambda name: name not in {"numba", "triton"})
    assert main(["kernels"]) == 0
    out = capsys.readouterr().out
    assert "needs numba" in out
    assert "needs triton" in out
    assert main(["kernels", "--compile"]) == 2
    assert "lowlat_nodes[triton]" in capsys.readouterr().err
