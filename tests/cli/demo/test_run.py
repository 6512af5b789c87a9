# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS domain of a run, and what its processes are told."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from lowlat_nodes.cli.demo import run
from lowlat_nodes.cli.demo.run import RunError, own_domain
from lowlat_nodes.cli.demo.settings import DemoSettings


@pytest.fixture
def few_domains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> range:
    """Three domains that nobody else claims, with ports that Linux hands out to nobody."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 40 + 3 * (worker % 20)
    monkeypatch.setattr(run, "_DOMAINS", range(first, first + 3))
    monkeypatch.setattr(run.tempfile, "gettempdir", lambda: str(tmp_path))
    return range(first, first + 3)


def test_runs_side_by_side_get_domains_of_their_own(few_domains: range) -> None:
    with contextlib.ExitStack() as runs:
        assert {runs.enter_context(own_domain()) for _ in few_domains} == set(few_domains)
        with pytest.raises(RunError, match=f"{few_domains[0]} to {few_domains[-1]} are in use"):
            runs.enter_context(own_domain())

    with own_domain() as domain:  # given back
        assert domain in few_domains


def test_a_domain_with_a_participant_is_passed_over(few_domains: range) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7400 + 250 * few_domains[1] + 10))
        with contextlib.ExitStack() as runs:
            taken = {runs.enter_context(own_domain()) for _ in range(2)}

    assert taken == {few_domains[0], few_domains[2]}


def test_a_strategy_is_told_apart_by_its_parameters_and_the_last_word_is_of_the_settings() -> None:
    settings = DemoSettings(inference_delay_ms=64.1, parameters={"policy.inference_delay.sigma": 0.4})

    told = run.policy_parameters("vlash_once_per_chunk", settings)

    assert told["execution.strategy"] == "vlash"
    assert told["execution.launch"] == "just_in_time"
    assert told["policy.inference_delay_ms"] == 64.1
    assert told["policy.inference_delay.sigma"] == 0.4
