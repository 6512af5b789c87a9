# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lowlat_nodes.stream.process_id import ProcessId


def test_a_process_is_the_same_as_long_as_it_lives() -> None:
    own = ProcessId.of(os.getpid())
    assert own is not None
    assert own.pid == os.getpid()
    assert ProcessId.of(os.getpid()) == own
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        found = ProcessId.of(child.pid)
        assert found is not None
        assert found.start >= own.start
    assert ProcessId.of(child.pid) is None


def test_brackets_and_spaces_in_its_name_do_not_matter(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    shutil.copy("/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as child:
        named = ProcessId.of(child.pid)
        assert named is not None
        own = ProcessId.of(os.getpid())
        assert own is not None
        assert named.start >= own.start
