# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Held frames stay whole, and the measurement would see it if they did not."""

from __future__ import annotations

from lowlat_nodes.benchmarks._transport_leases import measure


def test_only_frames_without_leases_are_torn() -> None:
    found = measure(3_000, frame_bytes=1 << 16)
    assert found["frames"] >= 3_000
    assert found["written"] > 0
    assert found["torn"] == 0
    assert found["without_leases"]["frames"] >= 300
    assert found["without_leases"]["torn"] > 0
