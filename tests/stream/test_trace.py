# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Ages and latencies are read from the stamps; results inherit the history of their input."""

from __future__ import annotations

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace


def test_age_is_taken_against_capture_and_else_against_receipt() -> None:
    assert Trace(capture_ns=10, received_ns=30).age_ns(100) == 90
    assert Trace(received_ns=30).age_ns(100) == 70


def test_latency_is_receipt_to_publication_and_zero_before() -> None:
    trace = Trace(capture_ns=10, received_ns=30)
    assert trace.latency_ns() == 0
    trace.published_ns = 45
    assert trace.latency_ns() == 15


def test_a_copy_is_equal_and_independent() -> None:
    trace = Trace(1, 2, 3, 4, 5, 6)
    copied = trace.copy()
    assert copied == trace
    copied.published_ns = 7
    assert trace.published_ns == 6


def test_a_derived_message_keeps_frame_number_and_history() -> None:
    source = Message("image", b"pixels", Trace(1, 2), sequence=4, frame_id="cam")
    result = source.derive("boxes", [1])
    assert (result.topic, result.payload, result.sequence, result.frame_id) == ("boxes", [1], 4, "cam")
    result.trace.published_ns = 9
    assert source.trace == Trace(1, 2)
