# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The right to use a device: jobs of several nodes take it in turns, and long ones give way in between."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Turn(Protocol):
    """A node's place among those that share a device; used by one thread."""

    def job(self, bucket: str = "") -> AbstractContextManager[None]:
        """Wait until the device is ours, and give it back at the end of the `with` block.

        The deadline of the job counts from here; the job with the earliest one goes first.

        Args:
            bucket: The shape of the work, where shapes differ in cost.
        """
        ...

    def between(self) -> None:
        """Give way to jobs with an earlier deadline; called between two segments of a job.

        A segment is what runs without interruption: some layers, a denoising step, some alerts.
        """
        ...


class Unshared:
    """The turn of a node that has its device for itself."""

    def job(self, bucket: str = "") -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return nullcontext()

    def between(self) -> None:
        """Do nothing."""


UNSHARED = Unshared()
