# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Why a place in shared memory cannot be read."""

from __future__ import annotations

from lowlat_nodes.stream.errors import LowlatError


class LeaseError(LowlatError):
    """A place cannot be leased; the message is lost to this reader, or has to come another way."""


class Overwritten(LeaseError):
    """The slot holds a later message by now, or is being written; this one is lost."""


class Unfinished(LeaseError):
    """The message was announced, but its writer has stopped in the middle of it; it is lost."""


class SegmentGone(LeaseError):
    """There is no segment of that name: its writer has ended or moved on."""


class SegmentRefused(LeaseError):
    """The segment may not be read here, is not one of ours, or does not contain the place."""
