# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes of one user and the sampler of another meet in a folder of their group, as docs/energyd.md has it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.energy import folder as energy_folder
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.folder import SamplerLock, SamplerRunning, checked
from lowlat_nodes.energy.sampler import Sampler
from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.stream.errors import ConfigurationError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users")

GROUP, NODES_USER, SAMPLERS_USER, STRANGER = 52000, 52001, 52002, 52003


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder as systemd-tmpfiles makes it: `d /run/lowlat_energy 2770 SAMPLERS_USER GROUP`."""
    with tempfile.TemporaryDirectory() as name:  # whose mode keeps strangers out, as ours must
        Path(name).chmod(0o755)
        made = Path(name) / "lowlat_energy"
        made.mkdir()
        os.chown(made, SAMPLERS_USER, GROUP)
        made.chmod(0o2770)
        yield made


class Child:
    """A child of this process that does something as another user, until it is told to end."""

    def __init__(self, user: int, act: Callable[[Callable[[Any], None]], None], *groups: int) -> None:
        self._answers, answers = os.pipe()
        ends, self._end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._end)
                os.setgroups(groups)
                os.setgid(user)
                os.setuid(user)
                os.umask(0o077)

                def answer(said: Any) -> None:
                    os.write(answers, json.dumps(said).encode() + b"\n")
                    os.read(ends, 1)

                act(answer)
            finally:
                os._exit(0)
        os.close(ends)
        os.close(answers)

    def answer(self) -> Any:
        """Wait for what it says first."""
        with os.fdopen(os.dup(self._answers)) as said:
            return json.loads(said.readline())

    def close(self) -> None:
        """Have it end."""
        os.close(self._end)
        os.waitpid(self.pid, 0)
        os.close(self._answers)


def work(folder: Path, answer: Callable[[Any], None]) -> None:
    """Count something, and use a little CPU time while the sampler looks."""
    tally = Tally("/node", folder=folder)
    tally.done(5)
    answer("counted")


def sample(folder: Path, answer: Callable[[Any], None]) -> None:
    """Say what the second window has."""
    sampler = Sampler([], [], folder, window_s=0.05)
    windows = 0
    while windows < 2:
        time.sleep(0.05)
        found = sampler.sample()
        windows += found is not None
    assert found is not None
    node = found.node("/node")
    answer([sampler.refused, node is not None, Board(folder).read() is not None])
    sampler.close()


def test_a_sampler_reads_pages_of_other_users_of_its_group(folder: Path) -> None:
    with closing(Child(NODES_USER, lambda answer: work(folder, answer), GROUP)) as node:
        assert node.answer() == "counted"
        (page,) = folder.glob("*.tally")
        status = page.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (NODES_USER, GROUP, 0o640)
        with closing(Child(SAMPLERS_USER, lambda answer: sample(folder, answer), GROUP)) as sampler:
            assert sampler.answer() == [{}, True, True]
            board = folder / "figures.msgpack"
            assert (board.stat().st_uid, board.stat().st_mode & 0o777) == (SAMPLERS_USER, 0o640)

            def read(answer: Callable[[Any], None]) -> None:
                figures = Board(folder).read()
                answer(figures is not None and [node.node for node in figures.nodes])

            with closing(Child(NODES_USER, read, GROUP)) as reader:
                assert reader.answer() == ["/node"]


def test_the_owner_of_the_folder_removes_pages_of_dead_nodes_of_others(folder: Path) -> None:
    with closing(Child(NODES_USER, lambda answer: work(folder, answer), GROUP)) as node:
        assert node.answer() == "counted"
        os.kill(node.pid, 9)
    assert len(list(folder.glob("*.tally"))) == 1
    with closing(Child(SAMPLERS_USER, lambda answer: sample(folder, answer), GROUP)) as sampler:
        assert sampler.answer() == [{}, True, True]
        assert list(folder.glob("*.tally")) == []


def test_another_user_of_the_group_may_sample_after_the_first(folder: Path) -> None:
    def hold(answer: Callable[[Any], None]) -> None:
        try:
            SamplerLock(folder, "a test")
            answer("held")
        except SamplerRunning as error:
            answer(error.pid)

    with closing(Child(SAMPLERS_USER, hold, GROUP)) as first:
        assert first.answer() == "held"
        with closing(Child(NODES_USER, hold, GROUP)) as second:
            assert second.answer() == first.pid
    with closing(Child(NODES_USER, hold, GROUP)) as third:
        assert third.answer() == "held"


def test_a_user_who_is_not_in_the_group_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_folder, "SHARED", folder)
    monkeypatch.delenv(energy_folder.VARIABLE, raising=False)

    def find(answer: Callable[[Any], None]) -> None:
        try:
            answer(str(energy_folder.energy_folder()))
        except ConfigurationError as error:
            answer(str(error))

    with closing(Child(STRANGER, find)) as stranger:
        assert f"gid {GROUP}); join that group" in stranger.answer()
    with closing(Child(NODES_USER, find, GROUP)) as member:
        assert member.answer() == str(folder)


def test_a_folder_of_somebody_who_is_not_trusted_is_refused(folder: Path) -> None:
    folder.parent.chmod(0o777)  # so that anybody may have made it

    def check(answer: Callable[[Any], None]) -> None:
        try:
            answer(str(checked(folder)))
        except ConfigurationError as error:
            answer(str(error))

    with closing(Child(NODES_USER, check, GROUP)) as member:
        assert "expected this user" in member.answer()
    with closing(Child(SAMPLERS_USER, check, GROUP)) as owner:
        assert owner.answer() == str(folder)


def test_nobody_is_charged_for_a_process_of_another_user(folder: Path) -> None:
    """A page that claims one gets nothing: only root may charge others."""

    def claim(answer: Callable[[Any], None]) -> None:
        tally = Tally("/liar", folder=folder)
        tally.add_process(1)
        answer("claimed")

    def look(answer: Callable[[Any], None]) -> None:
        sampler = Sampler([], [], folder)
        followed = {
            str(process.pid): process in sampler._processes.living() for process in sampler._processes.used_ns
        }
        answer(followed)
        sampler.close()

    with closing(Child(NODES_USER, claim, GROUP)) as liar:
        assert liar.answer() == "claimed"
        with closing(Child(SAMPLERS_USER, look, GROUP)) as sampler:
            assert sampler.answer() == {str(liar.pid): True, "1": False}
