# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Six stamps that travel with each message; every latency figure is read from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Trace:
    """Where a message was when, in nanoseconds of one clock; 0 means not reached.

    Attributes:
        capture_ns: When the sensor took it (the header stamp in ROS).
        received_ns: When this process got it.
        dequeued_ns: When the processor took it out of its mailbox.
        inference_start_ns: When the processor began.
        inference_end_ns: When the processor was done.
        published_ns: When the result was handed to the transport.
    """

    capture_ns: int = 0
    received_ns: int = 0
    dequeued_ns: int = 0
    inference_start_ns: int = 0
    inference_end_ns: int = 0
    published_ns: int = 0

    def age_ns(self, now_ns: int) -> int:
        """Return the time since capture; since receipt where the source gave no capture time."""
        return now_ns - (self.capture_ns or self.received_ns)

    def latency_ns(self) -> int:
        """Return the time from receipt to publication, 0 while either is missing."""
        return self.published_ns - self.received_ns if self.published_ns and self.received_ns else 0

    def copy(self) -> Trace:
        """Return an independent copy, for a result that inherits the history of its input."""
        return Trace(
            self.capture_ns,
            self.received_ns,
            self.dequeued_ns,
            self.inference_start_ns,
            self.inference_end_ns,
            self.published_ns,
        )
