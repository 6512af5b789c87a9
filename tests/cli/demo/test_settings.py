# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a demo run, and their file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.demo.kept import FILE
from lowlat_nodes.cli.demo.settings import DemoSettings
from lowlat_nodes.stream.errors import ConfigurationError


def test_saved_settings_come_back(tmp_path: Path) -> None:
    settings = DemoSettings(
        strategies=("vlash", "rtc", "sync"),
        targets=33,
        seed=5,
        record_images=False,
        parameters={"policy.inference_delay.distribution": "spikes"},
    )
    settings.save(tmp_path)

    assert DemoSettings.load(tmp_path) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategies": ("vlsh",)},
        {"strategies": ()},
        {"strategies": ("sync", "sync")},
        {"targets": 3},
        {"inference_delay_ms": -1.0},
        {"seed": -1},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        DemoSettings(**wrong)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected the folder of a demo run"):
        DemoSettings.load(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"strategies": 3}'])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigurationError, match="expected"):
        DemoSettings.load(tmp_path)


def test_settings_with_a_name_of_tomorrow_are_refused(tmp_path: Path) -> None:
    DemoSettings().save(tmp_path)
    values = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(values | {"gravity": 9.81}))

    with pytest.raises(ConfigurationError, match="expected exactly the settings"):
        DemoSettings.load(tmp_path)
