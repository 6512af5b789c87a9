# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that share a device take it in turns, across processes: the job with the earliest deadline first.

There is no worker to queue at. The nodes of a host that name the same device share a page of memory, in which
each says what it waits for; whoever ends a segment looks there who goes on, and wakes it. So a long job holds
up a short one for a segment of its own, not for its whole length, and no process waits for a thread of
another. `open_turn` is the entrance; docs/segments.md describes it.
"""
