# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the jobs of a node cost, of late."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BUCKETS = 32

_OTHER = "other"  # the bucket of what found no room in one of its own
_FORGET_BITS = 10  # a maximum moves by 1/1024 of the difference to each job below it


@dataclass(slots=True)
class _Worst:
    job_ns: int
    segment_ns: int
    jobs: int = 1


class Costs:
    """The longest job and the longest segment, by shape bucket: maxima that are slowly forgotten.

    The first job of a bucket loads and compiles; it counts only until there is a second one.
    """

    def __init__(self) -> None:
        self._worst: dict[str, _Worst] = {}
        self.job_ns = 0
        self.segment_ns = 0

    def add(self, bucket: str, job_ns: int, segment_ns: int) -> None:
        """Count a job.

        Args:
            bucket: The shape of the work; beyond 32 of them all others are one.
            job_ns: How long it had the device.
            segment_ns: Its longest segment.
        """
        worst = self._worst.get(bucket)
        if worst is None:
            if len(self._worst) >= MAX_BUCKETS - 1:
                bucket = _OTHER
            worst = self._worst.setdefault(bucket, _Worst(job_ns, segment_ns, 0))
        if worst.jobs == 1:
            worst.job_ns, worst.segment_ns = job_ns, segment_ns
        worst.jobs += 1
        worst.job_ns = _followed(worst.job_ns, job_ns)
        worst.segment_ns = _followed(worst.segment_ns, segment_ns)
        self.job_ns = max(each.job_ns for each in self._worst.values())
        self.segment_ns = max(each.segment_ns for each in self._worst.values())


def _followed(worst_ns: int, newest_ns: int) -> int:
    if newest_ns >= worst_ns:
        return newest_ns
    return worst_ns - ((worst_ns - newest_ns) >> _FORGET_BITS)
