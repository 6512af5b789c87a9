# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Lines of metadata, and versions within bounds."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from lowlat_nodes.cli.doctor.requirements import Requirement, fits, parse


@pytest.mark.parametrize(
    ("version", "bounds", "good"),
    [
        ("1.26.4", ">=1.26", True),
        ("1.26", ">=1.26.0", True),
        ("1.9", ">=1.26", False),
        ("2.13.0+cpu", "==2.13.0", True),
        ("2.13.1", "==2.13.0", False),
        ("2.13.1", "==2.13.*", True),
        ("3.13.1", ">=3.10,<3.14", True),
        ("3.14.0", ">=3.10,<3.14", False),
        ("1.4.5", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("1.5", "!=1.5.0", False),
        ("1.5", "", True),
        ("2.0", "<=2", True),
        ("2.0", ">2", False),
    ],
)
def test_bounds(version: str, bounds: str, good: bool) -> None:
    assert fits(version, bounds) is good


def test_lines() -> None:
    lines = [
        "numpy>=1.26",
        'torch==2.13.0; extra == "torch"',
        "triton==3.9.0; (sys_platform == 'win32' and platform_machine == 'x86_64') and extra == 'triton'",
        f'here; sys_platform == "{sys.platform}"',
    ]
    assert list(parse(lines)) == [
        Requirement("numpy", ">=1.26"),
        Requirement("torch", "==2.13.0", "torch"),
        Requirement("here", ""),
    ]
    with pytest.raises(ValueError, match="expected a requirement"):
        list(parse(["!"]))


def test_our_own_metadata() -> None:
    found = list(parse(importlib.metadata.requires("lowlat_nodes") or []))
    assert "numpy" in {each.name for each in found if not each.extra}
    assert {"alerts", "energy"} <= {each.extra for each in found}
    assert all(each.met() for each in found if not each.extra)
    assert not Requirement("lowlat-nodes-no-such-thing", "").met()
