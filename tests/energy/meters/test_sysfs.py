# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sysfs import FakeSysfs

from lowlat_nodes.energy.meters.sysfs import (
    Fault,
    NumberFile,
    Unreadable,
    fake_of,
    lasting_fault,
    number,
    root_of,
    word,
)


def _fault(file: NumberFile) -> Fault:
    with pytest.raises(Unreadable) as caught:
        file.read()
    return caught.value.fault


def test_each_reading_is_of_the_present(tmp_path: Path) -> None:
    path = tmp_path / "energy_uj"
    path.write_text("1\n", encoding="ascii")
    file = NumberFile(path)
    assert file.read() == 1
    path.write_text("-22\n", encoding="ascii")
    assert file.read() == -22
    file.close()


def test_a_number_of_the_kernel() -> None:
    assert number(Path("/proc/sys/kernel/pid_max")) > 0


@pytest.mark.parametrize("text", ["1_000", "12 34", "0x10", "1.5", "nan", "-", "\n", "1" * 40, "1" * 200])
def test_what_is_no_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "energy_uj"
    path.write_text(text, encoding="ascii")
    assert _fault(NumberFile(path)) is Fault.NOT_A_NUMBER


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "energy_uj"
    path.write_bytes(b"\xff\x00\x01")
    assert _fault(NumberFile(path)) is Fault.NOT_A_NUMBER
    assert word(path) == ""


def test_a_file_that_is_missing_may_come(tmp_path: Path) -> None:
    path = tmp_path / "energy_uj"
    file = NumberFile(path)
    assert _fault(file) is Fault.MISSING
    path.write_text("7\n", encoding="ascii")
    assert file.read() == 7
    file.close()


def test_a_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "energy_uj"
    path.write_text("7\n", encoding="ascii")
    file = NumberFile(path)
    file.read()
    path.write_bytes(b"")
    assert _fault(file) is Fault.GONE
    path.unlink()
    assert _fault(file) is Fault.GONE
    path.write_text("8\n", encoding="ascii")
    assert file.read() == 8
    file.close()


def test_a_file_of_the_kernel_whose_owner_is_gone() -> None:
    """It refuses an open file of a process that ended, as it does one of a driver that was unbound."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        file = NumberFile(Path(f"/proc/{process.pid}/oom_score"))
        assert file.read() >= 0
        process.communicate(b"\n")
    assert _fault(file) is Fault.GONE
    assert _fault(file) is Fault.GONE  # and again when it is to be opened anew
    assert lasting_fault([file]) is None


def test_a_file_that_this_user_may_not_read(public_sysfs: FakeSysfs, as_nobody: Callable[..., str]) -> None:
    public_sysfs.write("energy_uj", 7)
    public_sysfs.deny("energy_uj")
    program = """
import sys
from collections.abc import Callable
from pathlib import Path
from lowlat_nodes.energy.meters.sysfs import NumberFile, Unreadable
---
try:
    NumberFile(Path(sys.argv[1])).read()
except Unreadable as error:
    print(error.fault.value)
"""
    assert as_nobody(program, public_sysfs.root / "energy_uj") == "denied\n"


def test_words(tmp_path: Path) -> None:
    (tmp_path / "label").write_text("VDD_IN\n", encoding="ascii")
    (tmp_path / "long").write_text("x" * 10_000, encoding="ascii")
    (tmp_path / "lines").write_text("a\nb\n", encoding="ascii")
    assert word(tmp_path / "label") == "VDD_IN"
    assert len(word(tmp_path / "long")) == 256
    assert word(tmp_path / "lines") == ""
    assert word(tmp_path / "none") == ""


def test_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOWLAT_SYSFS_ROOT", raising=False)
    assert (root_of(), fake_of(root_of())) == (Path("/sys"), "")
    monkeypatch.setenv("LOWLAT_SYSFS_ROOT", "/a/tree")
    assert root_of() == Path("/a/tree")
    assert root_of(Path("/other")) == Path("/other")
    assert fake_of(root_of()) == "fake sysfs at /a/tree"
