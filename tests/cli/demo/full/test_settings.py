# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The settings of a run of the whole graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.stream.errors import ConfigurationError


def test_settings_are_kept(tmp_path: Path) -> None:
    settings = FullSettings(20.0, 11, 95, ("sim_arm_node", "policy_node"), "shapes")
    settings.save(tmp_path)
    assert FullSettings.load(tmp_path) == settings


def test_those_of_another_demo_are_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"strategies": ["vlash"]}')
    with pytest.raises(ConfigurationError, match="expected exactly the settings"):
        FullSettings.load(tmp_path)
    with pytest.raises(ConfigurationError, match="expected the folder of a demo run"):
        FullSettings.load(tmp_path / "none")
