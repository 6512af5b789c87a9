# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Operations by name: what each takes, and which implementation runs where.

    @op("add", ref=of("reference"), cpu=[of("cpu", needs="numba"), of("reference")], cuda=of("cuda"))
    def add(a, b):
        ...checks `a` and `b`, and returns the device that they are on

A call checks its arguments and runs the first implementation for their device that this machine can run.
Implementations are modules beside the one that declares the operation, imported when they are first used,
with a function `run` of the same arguments. `ref` is the oracle of the tests: float64 where that can be,
written for reading.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast

from lowlat_nodes.kernels.errors import NoImplementation

P = ParamSpec("P")
R = TypeVar("R")

REF, CPU, CUDA = "ref", "cpu", "cuda"

OPS: dict[str, Op[..., object]] = {}
"""All operations whose modules were imported, by name; `load_all` imports every one."""

MODULES: tuple[str, ...] = ("letterbox", "detections", "gaussian_process", "flow")
"""The packages with operations."""


@dataclass(frozen=True, slots=True)
class Implementation:
    """One way to compute an operation.

    Attributes:
        module: Its name below the package that declares the operation.
        needs: The import names of what it needs besides NumPy.
    """

    module: str
    needs: tuple[str, ...] = ()

    def missing(self) -> str:
        """Return the first of `needs` that is not installed; empty for none."""
        return next((name for name in self.needs if not _installed(name)), "")


def of(module: str, *, needs: str = "") -> Implementation:
    """Return the implementation in a module; `needs` are import names with blanks between."""
    return Implementation(module, tuple(needs.split()))


class Op(Generic[P, R]):
    """An operation; to be called.

    Attributes:
        name: Of the operation.
        ref: Its oracle.
        cpu: Its implementations for arrays of the host, best first.
        cuda: That for tensors on an NVIDIA GPU; None without one.
        package: The import name of the package that has them.
    """

    def __init__(
        self,
        name: str,
        check: Callable[P, str],
        *,
        ref: Implementation,
        cpu: Sequence[Implementation],
        cuda: Implementation | None,
    ) -> None:
        self.name = name
        self.ref = ref
        self.cpu = tuple(cpu)
        self.cuda = cuda
        self._check = check
        self.package = check.__module__
        self._chosen: dict[str, Callable[P, R]] = {}
        functools.update_wrapper(self, check)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Check the arguments and compute, where they are.

        Raises:
            BadArgument: As the check of the operation says.
            NoImplementation: If there is none for the device of the arguments here.
        """
        device = self._check(*args, **kwargs)
        run = self._chosen.get(device)
        if run is None:
            run = self._chosen[device] = self._load(self._choose(device))
        return run(*args, **kwargs)

    def on(self, which: str) -> Callable[P, R]:
        """Return one implementation behind the same check: for tests, benchmarks and comparisons.

        Args:
            which: `ref`, `cpu`, `cuda`, or the name of the module of one.

        Raises:
            NoImplementation: If there is none, or it cannot run here.
        """
        run = self._load(self._choose(which))

        @functools.wraps(self._check)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            self._check(*args, **kwargs)
            return run(*args, **kwargs)

        return cast("Callable[P, R]", checked)

    def _choose(self, which: str) -> Implementation:
        every = [each for each in (self.ref, *self.cpu, self.cuda) if each is not None]
        of_device = {REF: [self.ref], CPU: list(self.cpu), CUDA: [self.cuda] if self.cuda else []}
        named = of_device.get(which) or [each for each in every if each.module == which]
        if not named:
            raise NoImplementation(
                f"{self.name}: expected an implementation for {which!r}; there are "
                f"{', '.join(dict.fromkeys(each.module for each in every))}"
            )
        for each in named:
            if not each.missing():
                return each
        raise NoImplementation(
            f"{self.name}: its implementation for {which} needs {named[0].missing()}, which is not installed"
        )

    def _load(self, implementation: Implementation) -> Callable[P, R]:
        module = importlib.import_module(f"{self.package}.{implementation.module}")
        return cast("Callable[P, R]", module.run)


def op(
    name: str,
    *,
    ref: Implementation,
    cpu: Sequence[Implementation],
    cuda: Implementation | None = None,
) -> Callable[[Callable[P, str]], Op[P, Any]]:
    """Declare an operation by the function that checks its arguments.

    The function has the signature of the operation, raises `BadArgument`, and returns `cpu` or `cuda`, where
    the arrays are; its docstring is that of the operation. It stands in the `__init__` of a package with the
    implementations.
    """

    def declare(check: Callable[P, str]) -> Op[P, Any]:
        made: Op[P, Any] = Op(name, check, ref=ref, cpu=cpu, cuda=cuda)
        OPS[name] = cast("Op[..., object]", made)
        return made

    return declare


def load_all() -> dict[str, Op[..., object]]:
    """Import every operation and return them by name."""
    for module in MODULES:
        importlib.import_module(f"lowlat_nodes.kernels.{module}")
    return OPS


@functools.cache
def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
