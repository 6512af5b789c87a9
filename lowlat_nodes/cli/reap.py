# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat reap`: frees the shared memory that killed processes left behind."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowlat_nodes.transport import leftovers


def main(argv: Sequence[str]) -> int:
    """Remove the segments of dead processes of this user, of Fast DDS and of ours; say how much that was."""
    argparse.ArgumentParser(
        prog="lowlat reap",
        description="Free the shared memory that processes of this user left behind when they were killed, "
        "of Fast DDS and of our streams. What a living process uses is left alone.",
    ).parse_args(argv)
    reaped = leftovers.reap()
    print(f"freed {reaped.size / 1e6:.1f} MB in {reaped.segments} segments of dead processes")
    return 0
