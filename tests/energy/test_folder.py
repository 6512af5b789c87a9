# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowlat_nodes.energy.folder import VARIABLE, SamplerLock, SamplerRunning, checked, energy_folder
from lowlat_nodes.stream.errors import ConfigurationError

HOLD = """
import sys
import time
from pathlib import Path
from lowlat_nodes.energy.folder import SamplerLock
lock = SamplerLock(Path(sys.argv[1]), "a test")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_folder_of_the_environment_is_made_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "energy"))
    folder = energy_folder()
    assert folder == tmp_path / "energy"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert energy_folder() == folder  # which is there by now


def test_a_folder_in_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No such file.*set LOWLAT_ENERGY_DIR"):
        checked(tmp_path / "missing" / "energy", make=True)


def test_a_folder_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "energy"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"mode 0777.*chmod o-w {folder}"):
        checked(folder)
    folder.chmod(0o2770)
    assert checked(folder) == folder


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "energy"
    link.symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="expected a folder, no link"):
        checked(link, make=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="may not write"):
        checked(Path("/usr"))


def test_two_samplers_at_once(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(
                SamplerRunning, match=rf"process {holder.pid} \(a test\) samples for"
            ) as caught:
                SamplerLock(tmp_path, "another")
            assert (caught.value.pid, caught.value.name) == (holder.pid, "a test")
        finally:
            holder.kill()
    lock = SamplerLock(tmp_path, "another")  # a dead process holds nothing
    with pytest.raises(SamplerRunning, match=rf"process {os.getpid()} \(another\)"):
        SamplerLock(tmp_path, "a third")
    lock.close()
    lock.close()
    SamplerLock(tmp_path, "a third").close()


def test_of_many_that_start_at_once_one_samples(tmp_path: Path) -> None:
    go, begin = os.pipe()
    answers, answer = os.pipe()
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                os.close(begin)
                os.read(go, 1)  # the end of it, for all at once
                try:
                    SamplerLock(tmp_path, "one of many")
                    os.write(answer, b"y")
                except SamplerRunning:
                    os.write(answer, b"n")
                time.sleep(1000)
            finally:
                os._exit(0)
        children.append(child)
    os.close(go)
    os.close(begin)
    try:
        said = b"".join(os.read(answers, 1) for _ in children)
        assert sorted(said.decode()) == ["n"] * 7 + ["y"]
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(answers)
        os.close(answer)


def test_whoever_holds_the_lock_need_not_say_who_it_is(tmp_path: Path) -> None:
    lock = SamplerLock(tmp_path, "one")
    (tmp_path / "sampler.lock").write_bytes(b"\xff\x00garbage" * 100)
    with pytest.raises(SamplerRunning, match="another process samples") as caught:
        SamplerLock(tmp_path, "two")
    assert caught.value.pid == 0
    lock.close()


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sampler.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot lock"):
        SamplerLock(tmp_path, "one")
    assert not (tmp_path / "elsewhere").exists()
