# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter file of one run."""

from __future__ import annotations

from pathlib import Path

from lowlat_nodes.cli.demo.full.parameters import write
from lowlat_nodes.cli.graph import load
from lowlat_nodes.nodes.parameter_file import parameters_of, read

TEXT = """
/**: {ros__parameters: {use_sim_time: false}}
/**/policy_node:
  ros__parameters: {tick_hz: 50.0, policy: {model: "1e3", seed: 7}, limits: {velocity: [9.0]}}
/**/detector_node:
  ros__parameters: {threshold: 0.4}
lowlat_up:
  ros__parameters: {restart_limit: 2}
"""


def test_the_run_has_the_last_word_and_every_value_keeps_its_type(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.yaml", tmp_path / "ours.yaml"
    theirs.write_text(TEXT)

    write(
        ours,
        load(theirs),
        {"policy_node": {"policy.seed": 1, "task": "a: b # c"}, "bridge_node": {"zmq.endpoint": "ipc://x"}},
    )

    policy = parameters_of("/policy_node", read(ours))
    assert policy == {
        "use_sim_time": False,
        "tick_hz": 50.0,
        "policy.model": "1e3",  # text, which a plain scalar of YAML would not be
        "policy.seed": 1,
        "limits.velocity": [9.0],
        "task": "a: b # c",
    }
    again = load(ours)
    assert [process.node for process in again.nodes] == ["/policy_node", "/detector_node"]
    assert again.settings.restart_limit == 2
