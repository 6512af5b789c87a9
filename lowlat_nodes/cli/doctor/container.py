# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether this is a container, whose limits are those that it was started with."""

from __future__ import annotations

from pathlib import Path

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))  # of Docker and of Podman
_RUNTIMES = ("docker", "containerd", "kubepods", "libpod", "lxc")


def in_container() -> bool:
    """Tell by the files and the control groups of the usual runtimes."""
    if any(mark.exists() for mark in _MARKS):
        return True
    try:
        groups = Path("/proc/1/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(runtime in groups for runtime in _RUNTIMES)
