# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat doctor` as a user runs it, also in namespaces of Linux whose mounts and rights are of their own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

Findings = dict[str, dict[str, Any]]
Doctor = Callable[..., Findings]

PATIENCE_S = 120.0


@pytest.fixture
def doctor() -> Doctor:
    """Run one check and return its findings by what they are about.

    Arguments: name of the check; variables to set; `inside`, a shell command to run before it in a mount and
    user namespace of its own; `limits`, options of prlimit.
    """

    def run(
        check: str,
        environment: Mapping[str, str] | None = None,
        *,
        inside: str = "",
        limits: tuple[str, ...] = (),
        code: int | None = None,
    ) -> Findings:
        argv = [sys.executable, "-m", "lowlat_nodes.cli.main", "doctor", "--json", "--only", check]
        if inside:
            _skip_without_namespaces()
            argv = ["unshare", "-rm", "sh", "-c", f"{inside} && exec {shlex.join(argv)}"]
        if limits:
            argv = ["prlimit", *limits, *argv]
        environment = {**os.environ, **(environment or {})}
        done = subprocess.run(
            argv, capture_output=True, text=True, env=environment, check=False, timeout=PATIENCE_S
        )
        assert done.returncode in {0, 1}, done.stderr
        document = json.loads(done.stdout)
        assert done.returncode == (document["problems"] > 0)
        if code is not None:
            assert done.returncode == code
        assert {row["check"] for row in document["findings"]} == {check}
        return {row["about"]: row for row in document["findings"]}

    return run


def _skip_without_namespaces() -> None:
    tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no namespaces for this user: {tried.stderr.strip()}")
