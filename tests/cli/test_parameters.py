# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter tables come from the code, and the documentation has the newest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.cli.graph import executables
from lowlat_nodes.cli.parameters import main
from lowlat_nodes.stream.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("node", sorted(executables()))
def test_documentation_has_the_present_parameters(node: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([node]) == 0
    table = capsys.readouterr().out
    page = (ROOT / "docs" / f"{node}.md").read_text(encoding="utf-8")
    assert table in page, f"run: lowlat parameters {node}, and put the table at the end of the page"


def test_rows_say_default_range_and_unit(capsys: pytest.CaptureFixture[str]) -> None:
    main(["policy_node"])
    out = capsys.readouterr().out
    assert "| `tick_hz` | `100.0` | float from 1 to 2000 Hz | Rate of commands. |" in out
    assert "| `observation.camera.NAME.width` | required |" in out


def test_a_processor_has_a_table_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["throttle"]) == 0
    out = capsys.readouterr().out
    assert (
        "| `max_hz` | required | float from 0.001 to 1e+06 Hz | Most messages a second of each topic. |"
        in out
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("detector", "it has those of detector_node that concern it"),
        ("lowlat_nodes.control.offline:make_policy", "its factory has no config_type"),
    ],
)
def test_a_factory_that_does_not_tell_its_parameters_is_no_table(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        main([name])


def test_an_unknown_node_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["polcy_node"])
    assert (
        "there is no node or processor 'polcy_node'; did you mean 'policy_node'?" in capsys.readouterr().err
    )
