# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The right to use a device: jobs of several nodes take it in turns, and long ones give way in between."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Turn(Protocol):
    """A node's place among those that share a device; used by one thread, but for `figures`."""

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

    def declare(self) -> None:
        """End the warm-up: tell the others what the jobs so far have cost.

        Raises:
            ConfigurationError: If not all nodes that share the device could meet their deadlines then.
        """
        ...

    def figures(self) -> Mapping[str, str | int | float]:
        """Return what diagnostics say of the turn, none for a device that is not shared; for any thread."""
        ...

    def close(self) -> None:
        """Leave those that share the device."""
        ...


class Unshared:
    """The turn of a node that has its device for itself."""

    def job(self, bucket: str = "") -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return nullcontext()

    def between(self) -> None:
        """Do nothing."""

    def declare(self) -> None:
        """Do nothing."""

    def figures(self) -> Mapping[str, str | int | float]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing."""


UNSHARED = Unshared()
"""The turn of who has a device alone."""
