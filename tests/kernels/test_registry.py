# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An operation checks first, and then runs what its arguments and this machine allow."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.errors import BadArgument, NoImplementation
from lowlat_nodes.kernels.registry import OPS, load_all

DECLARED = """
    from lowlat_nodes.kernels.arguments import check_array, same_device
    from lowlat_nodes.kernels.registry import of, op

    CHOSEN = []

    @op(
        "double_of_tests",
        ref=of("slow"),
        cpu=[of("absent", needs="no_such_library"), of("fast"), of("slow")],
        cuda=of("gpu", needs="no_such_library"),
    )
    def double(numbers):
        '''Return twice the numbers.'''
        return check_array("numbers", numbers, dtypes=["float32"], shape=[None])
"""
RUN = """
    from doubling import CHOSEN

    def run(numbers):
        CHOSEN.append(__name__.rpartition(".")[2])
        return numbers + numbers
"""


@pytest.fixture
def doubling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package with an operation, as those of `kernels` are."""
    package = tmp_path / "doubling"
    package.mkdir()
    (package / "__init__.py").write_text(textwrap.dedent(DECLARED))
    for name in ("slow", "fast"):
        (package / f"{name}.py").write_text(textwrap.dedent(RUN))
    monkeypatch.syspath_prepend(str(tmp_path))
    import doubling

    yield doubling
    del OPS["double_of_tests"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "doubling"]:
        del sys.modules[name]


def test_the_first_implementation_that_can_run_here_is_taken(doubling: Any) -> None:
    numbers = np.arange(3, dtype=np.float32)
    assert doubling.double(numbers).tolist() == [0.0, 2.0, 4.0]
    assert doubling.double.on("ref")(numbers).tolist() == [0.0, 2.0, 4.0]
    assert doubling.double.on("cpu")(numbers).tolist() == [0.0, 2.0, 4.0]
    assert doubling.CHOSEN == ["fast", "slow", "fast"]
    assert doubling.double.__doc__ == "Return twice the numbers."


def test_arguments_are_checked_before_anything_runs(doubling: Any) -> None:
    for call in (doubling.double, doubling.double.on("ref"), doubling.double.on("fast")):
        with pytest.raises(BadArgument, match="numbers: expected float32, got float64"):
            call(np.zeros(3))
    assert doubling.CHOSEN == []


def test_an_implementation_that_cannot_run_says_what_it_needs(doubling: Any) -> None:
    with pytest.raises(NoImplementation, match="for cuda needs no_such_library, which is not installed"):
        doubling.double.on("cuda")
    with pytest.raises(NoImplementation, match="there are slow, absent, fast, gpu"):
        doubling.double.on("tpu")


def test_every_operation_of_the_package_has_a_reference_that_runs_with_numpy_or_torch() -> None:
    ops = load_all()
    assert {name for name in ops if "of_tests" not in name}
    for op in ops.values():
        assert set(op.ref.needs) <= {"torch"}
        assert op.__doc__
        assert callable(op.on("ref"))
