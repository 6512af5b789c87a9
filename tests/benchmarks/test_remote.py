# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench remote` asks a real server process and prints one JSON object."""

from __future__ import annotations

import json

import pytest

from lowlat_nodes.benchmarks import remote

pytestmark = pytest.mark.remote


def test_it_prints_one_json_object_with_the_named_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert remote.main(["--json", "--requests", "20"]) == 0
    figures = json.loads(capsys.readouterr().out)
    names = {f"{protocol}.{case}" for protocol in ("openpi", "lowlat") for case in ("noop", "reach_flow")}
    assert figures.keys() == {"machine", "energy"} | names
    assert figures["energy"].keys() == names
    assert all("j_per_inference" in spent for spent in figures["energy"].values())
    for name in names:
        figure = figures[name]
        assert figure["answers_equal"]
        assert figure["requests"] == 20
        for where in ("in_process", "remote", "added"):
            assert figure[f"{where}_p50_ms"] <= figure[f"{where}_p99_ms"]
    assert figures["openpi.noop"]["request_bytes"] == 2 * 224 * 224 * 3 + 14 * 4
