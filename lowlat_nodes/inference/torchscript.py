# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A TorchScript program with its inputs, outputs and metadata checked once, at load.

PyTorch's exported programs come in two formats. `torch.export.load` (.pt2) unpickles what the file holds and
looks up functions by the names in it, so that loading one runs whatever its author likes. `torch.jit.load`
reads TorchScript in C++, and refuses every class that is not of the program itself: no Python of the file is
run, now or later. PyTorch has deprecated it and offers nothing as safe in its place.

A program still is one: it may take memory and time without end, and use operators that read and write files.
Programs with the latter, or with code that would run as they are loaded, are refused.

PyTorch does not record the types of inputs. `save` puts them into the file, as `extra/lowlat.json`:
`{"inputs": {NAME: [DTYPE, [SIZE, ...]]}, "outputs": [NAME, ...], "metadata": {KEY: TEXT}}`, inputs in the
order of the arguments of `forward`, outputs in that of the tensors which it returns. A size of 0 is left
open. Without outputs there is one, `actions`.

On a GPU a program runs as CUDA graphs, one for each shape of its inputs (docs/graphed_policy.md). An input of
which it only reads numbers, such as how many steps to make, stays on the CPU: each value has a graph then.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lowlat_nodes.inference.model import LaunchTimes, TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

OUTPUT = "actions"

_EXTRA = "lowlat.json"
_MOST_BYTES = 1 << 20  # of that
_MOST_CODE = 64 << 20
_LARGEST = 1 << 31
_DTYPES: Mapping[str, type[np.generic]] = {
    kind.__name__: kind
    for kind in (np.float16, np.float32, np.float64, np.uint8, np.int8, np.int32, np.int64, np.bool_)
}
_RUNS_AT_LOAD = re.compile(r"\bdef\s+__setstate__\b")
_NAMESPACES = ("aten::", "prim::", "quantized::")
_READS = frozenset({"aten::Bool", "aten::Float", "aten::Int", "aten::IntImplicit", "aten::item"})
_VIEWS = frozenset({"aten::flatten", "aten::reshape", "aten::select", "aten::squeeze", "aten::view"})
_REFUSED = frozenset(
    {
        "aten::save",
        "aten::from_file",
        "prim::CallFunction",
        "prim::CallMethod",
        "prim::IgnoredPythonOp",
        "prim::PythonOp",
    }
)


class TorchModel:
    """A loaded program.

    Args:
        path: A file that `save` wrote.
        threads: Threads within an operator.
        device: Where it runs, as PyTorch names it.
        graphs: Whether it runs as CUDA graphs, and operator by operator where there can be none; None: if
            the device is a GPU.

    Attributes:
        graphs: What runs it so, and says whether it does; None without.

    Raises:
        ConfigurationError: If the file is missing, no such program, or one that could harm; if the device is
            not there, or the program fails on zeros.
        MissingExtra: If PyTorch is not installed.
    """

    methods: ClassVar[tuple[str, ...]] = ("forward",)
    """What of the program is run."""

    def __init__(
        self, path: Path, *, threads: int = 1, device: str = "cpu", graphs: bool | None = None
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("torch", "torch") from error
        self.path = path
        self.inputs, self._names, self.metadata = _read_extra(path)
        self._torch = torch
        self._threads = threads
        self._device = device
        try:
            self._program = torch.jit.load(str(path), map_location=device).eval()
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"{path}: PyTorch {torch.__version__} cannot load it on {device}: {_brief(error)}"
            ) from error
        self._check()
        self._on_gpu = torch.device(device).type == "cuda"
        self.graphs = self._graphed() if graphs or (graphs is None and self._on_gpu) else None
        self.outputs = self._try()

    @property
    def launch(self) -> LaunchTimes | None:
        """Return what launching the newest run cost; None on a CPU, and where graphs are off."""
        if self.graphs is None or not self._on_gpu or math.isnan(self.graphs.submit_us):
            return None
        return LaunchTimes(self.graphs.submit_us, self.graphs.device_us)

    @property
    def not_graphed(self) -> str:
        """Return why the newest run on a GPU was no CUDA graph, though it was to be one; else nothing."""
        return self.graphs.reason if self.graphs is not None and self._on_gpu else ""

    def run(self, feed: Mapping[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Run the program once; shapes and dtypes are the caller's promise.

        Raises:
            RuntimeError: If PyTorch says that they are not kept.
            ValueError: If they are not, and it runs as graphs.
        """
        if self.graphs is None:
            found = self._eager(feed)
        else:
            self._keep_threads()
            made: dict[str, Any] = self.graphs({name: feed[name] for name in self.inputs})
            found = {name: tensor.numpy() for name, tensor in made.items()}
        return [found[name] for name in outputs]

    def _check(self) -> None:
        """Refuse a program that could harm, or is another one than the file says."""
        for name in self.methods:
            _check_operators(self.path, getattr(self._program, name).inlined_graph)
        arguments = [argument.name for argument in self._program.forward.schema.arguments[1:]]
        if arguments != list(self.inputs):
            raise ConfigurationError(
                f"{self.path}: its forward takes {arguments}, but {_EXTRA} in it says {list(self.inputs)}"
            )

    def _eager(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._keep_threads()
        with self._torch.no_grad():
            made = self._call({name: self._tensor(feed[name]) for name in self.inputs})
        return {name: tensor.cpu().numpy() for name, tensor in made.items()}

    def _keep_threads(self) -> None:
        # All programs of a process share this number.
        if self._torch.get_num_threads() != self._threads:
            self._torch.set_num_threads(self._threads)

    def _call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return self._by_name(self._program.forward(*(tensors[name] for name in self.inputs)))

    def _by_name(self, made: Any) -> dict[str, Any]:
        returned = made if isinstance(made, tuple | list) else (made,)
        if len(returned) != len(self._names):
            raise ValueError(
                f"its forward returns {len(returned)} tensors, but {_EXTRA} in it names {self._names}"
            )
        return dict(zip(self._names, returned, strict=True))

    def _graphed(self) -> GraphedPolicy:
        from lowlat_nodes.kernels.graphed.inputs import MOST_HOST_ELEMENTS, Input
        from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

        values = dict(zip(self.inputs, list(self._program.inlined_graph.inputs())[1:], strict=True))
        inputs = {}
        for name, item in self.inputs.items():
            # A size that is left open is an axis of its own: each size that comes has a graph.
            shape = tuple(size or f"{name} {index}" for index, size in enumerate(item.shape))
            small = 0 not in item.shape and math.prod(item.shape) <= MOST_HOST_ELEMENTS
            inputs[name] = Input(np.dtype(item.dtype).name, shape, on_host=small and _only_read(values[name]))
        return GraphedPolicy(self._call, device=self._device, inputs=inputs)

    def _tensor(self, array: np.ndarray) -> Any:
        # PyTorch takes memory that it may write to.
        return self._torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self._device)

    def _try(self) -> dict[str, TensorSpec]:
        """Return what the outputs are, by running the program on zeros."""
        zeros = {
            name: np.zeros([size or 1 for size in item.shape], item.dtype)
            for name, item in self.inputs.items()
        }
        try:
            found = self._eager(zeros)
        except Exception as error:  # a program is foreign code
            raise ConfigurationError(f"{self.path}: the program fails on zeros: {_brief(error)}") from error
        is_open = all(item.shape[:1] == (0,) for item in self.inputs.values())
        return {
            name: TensorSpec(name, (0, *made.shape[1:]) if is_open else made.shape, made.dtype.type)
            for name, made in found.items()
        }


def save(
    program: Any,
    path: Path,
    inputs: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (OUTPUT,),
) -> None:
    """Write a program with what `TorchModel` must know of it.

    Args:
        program: From `torch.jit.trace` or `torch.jit.script`.
        path: Of the file.
        inputs: An example tensor for each argument of `forward`, by its name.
        metadata: Further text by name.
        outputs: A name for each tensor that `forward` returns.
    """
    import torch

    specs = {
        name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        for name, tensor in inputs.items()
    }
    extra = json.dumps({"inputs": specs, "outputs": list(outputs), "metadata": dict(metadata or {})})
    torch.jit.save(program, str(path), _extra_files={_EXTRA: extra})


def _read_extra(path: Path) -> tuple[dict[str, TensorSpec], list[str], dict[str, str]]:
    """Return inputs, names of outputs and metadata of a program whose code may be loaded."""
    if not path.is_file():
        raise ConfigurationError(f"expected a TorchScript program, found nothing at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise ConfigurationError(f"{path}: expected each file in it once")
            for name in names:
                if name.endswith(".py") and _RUNS_AT_LOAD.search(_read(archive, name, _MOST_CODE)):
                    raise ConfigurationError(f"{path}: {name} would run code as it is loaded (__setstate__)")
            extra = next((name for name in names if name.endswith(f"/extra/{_EXTRA}")), "")
            if not extra:
                raise ConfigurationError(
                    f"{path}: expected extra/{_EXTRA} in it; see lowlat_nodes.inference.torchscript.save"
                )
            content = json.loads(_read(archive, extra, _MOST_BYTES))
        inputs = {name: _spec(name, *item) for name, item in content["inputs"].items()}
        outputs = _names(content.get("outputs", [OUTPUT]))
        metadata = {str(name): str(value) for name, value in content["metadata"].items()}
    except (zipfile.BadZipFile, OSError) as error:
        raise ConfigurationError(f"{path} is no TorchScript program: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigurationError(
            f"{path}: expected inputs and metadata in {_EXTRA}: {_brief(error)}"
        ) from error
    return inputs, outputs, metadata


def _read(archive: zipfile.ZipFile, name: str, most: int) -> str:
    size = archive.getinfo(name).file_size
    if size > most:
        raise ValueError(f"expected at most {most} bytes of {name}, got {size}")
    return archive.read(name).decode()


def _names(content: Any) -> list[str]:
    if not isinstance(content, list) or len(set(map(str, content))) != len(content):
        raise ValueError(f"expected different names of outputs, got {content!r}")
    return [str(name) for name in content]


def _spec(name: str, dtype: str, shape: list[int]) -> TensorSpec:
    if dtype not in _DTYPES or not all(type(size) is int and 0 <= size < _LARGEST for size in shape):
        raise ValueError(
            f"{name!r}: expected a dtype of {', '.join(_DTYPES)} and sizes, got {dtype!r}, {shape!r}"
        )
    if np.prod([size or 1 for size in shape], dtype=float) > _LARGEST:
        raise ValueError(f"{name!r}: expected at most {_LARGEST} elements, got {shape!r}")
    return TensorSpec(name, tuple(shape), _DTYPES[dtype])


def _check_operators(path: Path, graph: Any) -> None:
    """Refuse a program with operators that reach beyond tensors, or that cannot be seen through."""
    kinds = set(_kinds(graph))
    wrong = sorted(kind for kind in kinds if kind in _REFUSED or not kind.startswith(_NAMESPACES))
    if wrong:
        raise ConfigurationError(
            f"{path}: expected a program of operators on tensors, got {', '.join(wrong)}"
        )


def _kinds(graph: Any) -> Iterator[str]:
    """Yield the kind of each operator, in blocks and subgraphs too."""
    for node in graph.nodes():
        yield node.kind()
        for block in node.blocks():
            yield from _kinds(block)
        for name in node.attributeNames():
            if node.kindOf(name) == "g":
                yield from _kinds(node.g(name))


def _only_read(value: Any) -> bool:
    """Return whether a program does nothing with a tensor but to read numbers of it."""
    uses = value.uses()
    return bool(uses) and all(
        use.user.kind() in _READS
        or (use.user.kind() in _VIEWS and all(_only_read(made) for made in use.user.outputs()))
        for use in uses
    )


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 500 else f'{text[:200]} ... {text[-300:]}'}"
