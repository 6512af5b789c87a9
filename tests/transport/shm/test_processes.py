# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that share memory are killed, stopped, forked and run as others; the rest goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from shm_peers import PeerProcess

from lowlat_nodes.transport.abandoned import Reaped
from lowlat_nodes.transport.shm import stale

SIZE = 1 << 16

Start: TypeAlias = Callable[[], PeerProcess]


def test_views_stay_what_they_were_while_the_writer_goes_on(peer: Start) -> None:
    writer, first, second = peer(), peer(), peer()
    writer("writer", slots=4)
    place = writer("put", size=SIZE, value=7)
    assert first("lease", name="a", place=place, size=SIZE) == ""
    assert second("lease", name="a", place=place, size=SIZE) == ""
    for reader in (first, second):
        assert writer("put_others", size=SIZE, first=0, count=100) == 100
        assert reader("values", name="a") == [7]
        reader("drop", name="a")
    assert first("lease", name="a", place=place, size=SIZE) == "", "its slot is the last of the free ones"
    first("drop", name="a")
    writer("put_others", size=SIZE, first=0, count=4)
    assert first("lease", name="a", place=place, size=SIZE) == "Overwritten"


def test_a_killed_reader_holds_nothing(peer: Start) -> None:
    writer, victim, other = peer(), peer(), peer()
    writer("writer", slots=3)
    places = [writer("put", size=SIZE, value=value) for value in (1, 2, 3)]
    for place in places:
        assert victim("lease", name=str(place), place=place, size=SIZE) == ""
    assert other("lease", name="kept", place=places[0], size=SIZE) == ""
    assert writer("put", size=SIZE, value=4) is None
    victim.kill()
    assert writer("put_others", size=SIZE, first=10, count=10) == 10
    assert other("values", name="kept") == [1]
    assert writer("counts") == {"slots_leased": 1}


def test_a_stopped_reader_holds_its_leases_and_nobody_up(peer: Start) -> None:
    writer, stopped, other = peer(), peer(), peer()
    writer("writer", slots=3)
    places = [writer("put", size=SIZE, value=value) for value in (1, 2)]
    for name, place in zip("ab", places, strict=True):
        assert stopped("lease", name=name, place=place, size=SIZE) == ""
    stopped.stop()
    assert writer("put_others", size=SIZE, first=10, count=50) == 50
    place = writer("put", size=SIZE, value=3)
    assert other("lease", name="c", place=place, size=SIZE) == ""
    assert writer("put", size=SIZE, value=4) is None
    stopped.go_on()
    assert [stopped("values", name=name) for name in "ab"] == [[1], [2]]
    stopped("drop", name="a")
    assert writer("put_others", size=SIZE, first=10, count=5) == 5


def test_a_stopped_reader_that_is_killed_holds_nothing(peer: Start) -> None:
    writer, stopped = peer(), peer()
    writer("writer", slots=2)
    for name in "ab":
        place = writer("put", size=SIZE, value=1)
        assert stopped("lease", name=name, place=place, size=SIZE) == ""
    stopped.stop()
    assert writer("put", size=SIZE, value=1) is None
    stopped.kill()
    assert writer("put_others", size=SIZE, first=1, count=4) == 4


def test_a_killed_writer_leaves_whole_messages(peer: Start, folder: Path) -> None:
    writer, reader = peer(), peer()
    writer("writer", slots=3)
    places = [writer("put", size=SIZE, value=value) for value in (1, 2, 3)]
    assert reader("lease", name="held", place=places[1], size=SIZE) == ""
    assert writer("loan", size=SIZE, value=99) == SIZE, "half of the oldest slot is overwritten"
    assert stale.reap(folder) == Reaped(0, 0)
    writer.kill()
    assert reader("lease", name="half", place=places[0], size=SIZE) == "Overwritten"
    assert reader("lease", name="whole", place=places[2], size=SIZE) == ""

    (segment,) = folder.iterdir()
    assert stale.stale(folder) == [segment]
    assert stale.reap(folder) == Reaped(1, 4096 + 3 * SIZE)
    assert not list(folder.iterdir())
    assert reader("values", name="held") == [2]
    assert reader("values", name="whole") == [3]
    assert peer()("lease", name="late", place=places[2], size=SIZE) == "SegmentGone"


def test_writers_killed_again_and_again_leave_nothing_torn(peer: Start, folder: Path) -> None:
    reader = peer()
    for turn in range(5):
        writer = peer()
        writer("writer", slots=2)
        places = [writer("put", size=SIZE, value=value) for value in (1, 2)]
        assert reader("lease", name="held", place=places[0], size=SIZE) == ""
        writer.send("put_others", size=SIZE, first=10 * turn, count=1_000_000)
        while reader("lease", name="other", place=places[1], size=SIZE) != "Overwritten":
            reader("drop", name="other")  # it writes, and is killed amid that
        writer.kill()
        assert reader("values", name="held") == [1]
    reader("drop", name="held")
    assert stale.reap(folder).segments == 5


def test_a_child_does_not_give_back_what_its_parent_holds(peer: Start) -> None:
    writer, reader = peer(), peer()
    writer("writer", slots=2)
    place = writer("put", size=SIZE, value=7)
    assert reader("lease", name="a", place=place, size=SIZE) == ""
    assert reader("fork_and_exit", name="a") == [7]
    writer("put_others", size=SIZE, first=10, count=10)
    assert reader("values", name="a") == [7]


def test_a_child_keeps_neither_leases_nor_segments_of_its_parent(peer: Start, folder: Path) -> None:
    writer, reader = peer(), peer()
    writer("writer", slots=2)
    places = [writer("put", size=SIZE, value=value) for value in (1, 2)]
    for place in places:
        assert reader("lease", name=str(place), place=place, size=SIZE) == ""
    children = [process("leave_a_child") for process in (reader, writer)]
    try:
        assert writer("put", size=SIZE, value=3) is None
        reader.kill()
        assert writer("put_others", size=SIZE, first=4, count=4) == 4
        assert stale.reap(folder).segments == 0
        writer.kill()
        assert stale.reap(folder).segments == 1
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_a_child_that_closes_leaves_the_segment_to_its_parent(peer: Start, folder: Path) -> None:
    writer = peer()
    writer("writer", slots=2)
    place = writer("put", size=SIZE, value=1)
    assert writer("put_in_child", size=SIZE, value=2) != place
    assert [path.name for path in folder.iterdir()] == [place[0]]
    assert writer("put", size=SIZE, value=3)[0] == place[0]


def test_what_a_process_forgets_to_close_goes_with_it(peer: Start, folder: Path) -> None:
    writer = peer()
    writer("writer")
    writer("put", size=SIZE, value=1)
    assert list(folder.iterdir())
    writer.leave()
    assert not list(folder.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes of other users")
class TestStrangers:
    """Processes of other users."""

    @pytest.fixture(autouse=True)
    def _reachable(self, folder: Path) -> None:
        folder.chmod(0o1777)

    def test_they_cannot_read_what_is_ours(self, peer: Start) -> None:
        writer, stranger = peer(), peer()
        writer("writer")
        place = writer("put", size=SIZE, value=1)
        stranger("become", user=12345, group=12345, groups=[])
        assert stranger("lease", name="a", place=place, size=SIZE) == "SegmentRefused"

    def test_they_cannot_remove_what_is_ours(self, peer: Start, folder: Path) -> None:
        writer, stranger = peer(), peer()
        writer("writer")
        place = writer("put", size=SIZE, value=1)
        writer.kill()
        stranger("become", user=12345, group=12345, groups=[])
        assert stranger("reap") == 0
        assert (folder / place[0]).exists()

    def test_we_do_not_read_what_is_theirs(self, peer: Start) -> None:
        stranger, reader = peer(), peer()
        stranger("become", user=12345, group=12345, groups=[])
        stranger("writer")
        place = stranger("put", size=SIZE, value=1)
        assert reader("lease", name="a", place=place, size=SIZE) == "SegmentRefused"

    def test_what_root_writes_its_group_may_read(self, peer: Start) -> None:
        writer, member, other = peer(), peer(), peer()
        writer("writer", group="users")
        place = writer("put", size=SIZE, value=1)
        member("become", user=12345, group=12345, groups=[100])
        assert member("lease", name="a", place=place, size=SIZE) == ""
        other("become", user=12346, group=12346, groups=[])
        assert other("lease", name="a", place=place, size=SIZE) == "SegmentRefused"

    def test_users_of_a_group_share_memory_if_both_say_so(self, peer: Start) -> None:
        writer, member, careful = peer(), peer(), peer()
        writer("become", user=12345, group=12345, groups=[100])
        member("become", user=12346, group=12346, groups=[100])
        careful("become", user=12346, group=12346, groups=[100])
        writer("writer", group="users")
        place = writer("put", size=SIZE, value=5)
        member("trust", group="users")
        assert member("lease", name="a", place=place, size=SIZE) == ""
        assert writer("put_others", size=SIZE, first=1, count=20) == 20
        assert member("values", name="a") == [5]
        assert careful("lease", name="a", place=place, size=SIZE) == "SegmentRefused"
