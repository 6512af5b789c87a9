# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of policy execution that are each right but do not fit each other."""

from __future__ import annotations

import pytest

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

JOINTS = {"observation.joints.names": ["a"]}


def test_a_state_of_the_past_is_refused_where_the_strategy_shows_that_of_the_future() -> None:
    with pytest.raises(ConfigurationError, match=r"observation\.align: image.*expected newest, or another"):
        build(ControlConfig, {**JOINTS, "observation.align": "image", "execution.strategy": "vlash"})
    for strategy in ("sync", "naive_async", "auto"):
        build(ControlConfig, {**JOINTS, "observation.align": "image", "execution.strategy": strategy})


def test_a2c2_needs_a_corrector() -> None:
    with pytest.raises(ConfigurationError, match=r"a2c2 needs a corrector; give corrector\.model"):
        build(ControlConfig, {**JOINTS, "execution.strategy": "a2c2"})
    build(ControlConfig, {**JOINTS, "execution.strategy": "a2c2", "corrector.model": "a.onnx"})


def test_whole_motions_are_not_corrected() -> None:
    for strategy in ("sync", "a2c2"):
        changes = {"execution.strategy": strategy, "corrector.model": "a.onnx", "command.kind": "chunk"}
        with pytest.raises(ConfigurationError, match=r"corrector\.model: a correction is for one tick"):
            build(ControlConfig, {**JOINTS, **changes})


def test_pipelined_needs_a_process_for_each_inference() -> None:
    for kind in ({}, {"policy.kind": "remote", "policy.remote.address": "ws://127.0.0.1:1"}):
        with pytest.raises(ConfigurationError, match=r"policy\.workers: .* expected 2 or more"):
            build(ControlConfig, {**JOINTS, **kind, "execution.strategy": "pipelined"})
        build(ControlConfig, {**JOINTS, **kind, "execution.strategy": "pipelined", "policy.workers": 2})
