# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""TorchScript programs: what they say, that they run, and that files which could do more are refused."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.inference.torchscript import TorchModel, save
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")]


class Adder(torch.nn.Module):
    """Adds the mean of an image to the state, in three rows."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.nn.Parameter(torch.tensor([0.5, 1.0]))

    def forward(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        row = state + self.offset + image.to(torch.float32).mean(dim=[1, 2, 3])[:, None]
        return row[:, None].repeat(1, 3, 1)


def write(path: Path, module: Any = None, batch: int = 1, metadata: Mapping[str, str] | None = None) -> Path:
    inputs = {"state": torch.zeros(batch, 2), "image": torch.zeros(batch, 4, 6, 3, dtype=torch.uint8)}
    save(torch.jit.script(module or Adder()), path, inputs, metadata)
    return path


def changed(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write a file whose members have another content."""
    with zipfile.ZipFile(path) as archive:
        members = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_program_says_what_it_takes_and_runs(tmp_path: Path) -> None:
    model = TorchModel(write(tmp_path / "p.pt", metadata={"joint_names": "a,b"}))
    assert model.inputs == {
        "state": TensorSpec("state", (1, 2), np.float32),
        "image": TensorSpec("image", (1, 4, 6, 3), np.uint8),
    }
    assert model.outputs == {"actions": TensorSpec("actions", (1, 3, 2), np.float32)}
    assert model.metadata == {"joint_names": "a,b"}
    image = np.full((1, 4, 6, 3), 2, np.uint8)
    image.flags.writeable = False
    (actions,) = model.run({"state": np.float32([[1, 2]]), "image": image}, ["actions"])
    assert actions.tolist() == [[[3.5, 5.0]] * 3]


def test_a_traced_program_and_an_open_batch(tmp_path: Path) -> None:
    inputs = {"state": torch.zeros(0, 2), "image": torch.zeros(0, 4, 6, 3, dtype=torch.uint8)}
    traced = torch.jit.trace(Adder(), (torch.zeros(1, 2), torch.zeros(1, 4, 6, 3, dtype=torch.uint8)))
    save(traced, tmp_path / "p.pt", inputs)
    model = TorchModel(tmp_path / "p.pt")
    assert model.outputs["actions"].shape == (0, 3, 2)
    feed = {"state": np.zeros((5, 2), np.float32), "image": np.zeros((5, 4, 6, 3), np.uint8)}
    assert model.run(feed, ["actions"])[0].shape == (5, 3, 2)


class GivesTwo(torch.nn.Module):
    def forward(self, state: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return state * 2.0, image.to(torch.float32).mean(dim=[1, 2])


def test_a_program_may_return_several_tensors(tmp_path: Path) -> None:
    inputs = {"state": torch.zeros(1, 2), "image": torch.zeros(1, 4, 6, 3, dtype=torch.uint8)}
    save(torch.jit.script(GivesTwo()), tmp_path / "p.pt", inputs, outputs=("twice", "mean"))
    model = TorchModel(tmp_path / "p.pt")
    assert model.outputs == {
        "twice": TensorSpec("twice", (1, 2), np.float32),
        "mean": TensorSpec("mean", (1, 3), np.float32),
    }
    feed = {"state": np.float32([[1, 2]]), "image": np.full((1, 4, 6, 3), 3, np.uint8)}
    assert [part.tolist() for part in model.run(feed, ["mean", "twice"])] == [[[3.0] * 3], [[2.0, 4.0]]]


def test_programs_keep_to_their_own_threads(tmp_path: Path) -> None:
    path = write(tmp_path / "p.pt")
    before = torch.get_num_threads()
    one, two = TorchModel(path, threads=1), TorchModel(path, threads=2)
    feed = {"state": np.zeros((1, 2), np.float32), "image": np.zeros((1, 4, 6, 3), np.uint8)}
    try:
        for model, threads in ((one, 1), (two, 2), (one, 1)):
            model.run(feed, ["actions"])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


class Repeats(torch.nn.Module):
    """Reads how often to add from one input, and adds up another."""

    def forward(self, state: torch.Tensor, steps: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        count = int(steps.view(-1)[0])
        for _ in range(count):
            state = state + offset
        return state[:, None]


def write_repeats(path: Path) -> Path:
    inputs = {"state": torch.zeros(0, 2), "steps": torch.ones(1, dtype=torch.int64)}
    save(torch.jit.script(Repeats()), path, {**inputs, "offset": torch.zeros(1, dtype=torch.int64)})
    return path


def test_a_program_run_as_graphs_makes_the_same(tmp_path: Path) -> None:
    """On a CPU, where there are none: the same checks, shapes and values."""
    plain, graphed = (TorchModel(write_repeats(tmp_path / "p.pt"), graphs=graphs) for graphs in (False, True))
    assert plain.graphs is None
    assert graphed.graphs is not None
    assert graphed.outputs == plain.outputs
    random = np.random.default_rng(5)
    for batch, steps in ((1, 3), (2, 3), (1, 1), (1, 3)):
        feed = {
            "state": random.standard_normal((batch, 2), np.float32),
            "steps": np.array([steps]),
            "offset": np.array([2]),
            "unknown": np.zeros(1),
        }
        (made,) = graphed.run(feed, ["actions"])
        assert np.array_equal(made, plain.run(feed, ["actions"])[0])
        assert np.allclose(made[:, 0], feed["state"] + 2 * steps)
    # A graph for each batch and number of steps; the offset is no more than a number to add.
    assert list(graphed.graphs.buckets) == [
        f"state 0 {batch}, value {steps:02x}00000000000000" for batch, steps in ((1, 3), (2, 3), (1, 1))
    ]
    with pytest.raises(ValueError, match=r"state: expected the shape \[state 0, 2\], got \[1, 3\]"):
        graphed.run({**feed, "state": np.zeros((1, 3), np.float32)}, ["actions"])


def test_graphs_are_for_gpus_unless_told(tmp_path: Path) -> None:
    assert TorchModel(write(tmp_path / "p.pt")).graphs is None
    model = TorchModel(write(tmp_path / "p.pt"), graphs=True)
    assert model.graphs is not None
    assert (model.graphs.graphed, model.graphs.reason) == (False, "it runs on the CPU")
    model.run({"state": np.zeros((1, 2), np.float32), "image": np.zeros((1, 4, 6, 3), np.uint8)}, ["actions"])
    assert (model.launch, model.not_graphed) == (None, "")  # nothing was launched, nor was to be


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_program_is_a_graph_for_each_number_of_steps(tmp_path: Path) -> None:
    plain, graphed = (
        TorchModel(write_repeats(tmp_path / "p.pt"), device="cuda", graphs=graphs) for graphs in (False, None)
    )
    assert plain.graphs is None
    assert graphed.graphs is not None
    random = np.random.default_rng(5)
    for batch, steps in ((1, 3), (2, 3), (1, 1), (1, 3), (2, 3)):
        feed = {
            "state": random.standard_normal((batch, 2), np.float32),
            "steps": np.array([steps]),
            "offset": np.array([2]),
        }
        (made,) = graphed.run(feed, ["actions"])
        assert np.array_equal(made, plain.run(feed, ["actions"])[0])
        assert graphed.graphs.graphed, graphed.graphs.reason
        assert graphed.launch is not None
        assert graphed.launch.submit_us > 0.0
        assert graphed.launch.device_us > 0.0
    assert len(graphed.graphs.buckets) == 3
    assert plain.launch is None


class Doubts(torch.nn.Module):
    """Decides by a number of the device what to do."""

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        if bool(state.sum() > 0.0):
            state = state * 2.0
        return state[:, None]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_program_that_cannot_be_a_graph_runs_and_says_why(tmp_path: Path) -> None:
    save(torch.jit.script(Doubts()), tmp_path / "p.pt", {"state": torch.zeros(1, 2)})
    model = TorchModel(tmp_path / "p.pt", device="cuda")
    for state, expected in (([[1.0, 2.0]], [[[2.0, 4.0]]]), ([[-1.0, -2.0]], [[[-1.0, -2.0]]])):
        assert model.run({"state": np.float32(state)}, ["actions"])[0].tolist() == expected
        assert model.not_graphed.startswith("the host waits for the GPU in ")


class Payload:
    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._file),)


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl"])
def test_no_python_of_a_file_is_run(member: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    payload = pickle.dumps(Payload(proof), protocol=2)
    pickle.loads(payload)  # noqa: S301, our own
    proof.rmdir()
    path = changed(
        write(tmp_path / "p.pt"),
        lambda name, content: payload if name.endswith(f"/{member}") else content,
    )
    with pytest.raises(ConfigurationError, match="cannot load it on cpu"):
        TorchModel(path)
    assert not proof.exists()


class Saver(Adder):
    def forward(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        torch.save(state, "/nowhere/proof")
        return state[:, None] + image.sum()


class Mapper(Adder):
    def forward(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return state[:, None] + self.read() + image.sum()

    def read(self) -> torch.Tensor:
        return torch.from_file("/etc/hostname", size=2)


class Setter(Adder):
    @torch.jit.export
    def __getstate__(self) -> tuple[bool]:
        return (self.training,)

    @torch.jit.export
    def __setstate__(self, state: tuple[bool]) -> None:
        self.training = state[0]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Saver, "operators on tensors, got aten::save"),
        (Mapper, "operators on tensors, got aten::from_file"),
        (Setter, "would run code as it is loaded"),
    ],
)
def test_a_program_that_reaches_beyond_tensors_is_refused(module: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        TorchModel(write(tmp_path / "p.pt", module()))


def test_a_file_that_holds_another_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.pt")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(next(name for name in archive.namelist() if name.endswith(".py")), "")
    with pytest.raises(ConfigurationError, match="each file in it once"):
        TorchModel(path)


class Fails(Adder):
    def forward(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return state.reshape(7) + image.sum()


class TakesOne(torch.nn.Module):
    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return state


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Fails, "the program fails on zeros: .*shape"),
        (GivesTwo, r"its forward returns 2 tensors, but lowlat\.json in it names \['actions'\]"),
        (TakesOne, r"its forward takes \['state'\], but lowlat\.json in it says \['state', 'image'\]"),
    ],
)
def test_a_program_that_is_none_of_ours_is_refused(module: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        TorchModel(write(tmp_path / "p.pt", module()))


@pytest.mark.parametrize(
    "extra",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"inputs": {"state": ["float32", [1, 2]]}}',
        *(
            json.dumps({"inputs": {"state": item}, "metadata": {}}).encode()
            for item in (["object", [1]], ["float32"], ["float32", [-1]], ["float32", [1.0]], ["float32", 3])
        ),
        *(
            json.dumps({"inputs": {}, "outputs": names, "metadata": {}}).encode()
            for names in ("actions", ["a", "a"], 3)
        ),
        json.dumps({"inputs": {"state": ["float32", [100_000, 100_000]]}, "metadata": {}}).encode(),
        b" " * (2 << 20),
    ],
    ids=range(15),
)
def test_nonsense_about_the_inputs_is_refused(extra: bytes, tmp_path: Path) -> None:
    path = changed(
        write(tmp_path / "p.pt"),
        lambda name, content: extra if name.endswith("/lowlat.json") else content,
    )
    with pytest.raises(ConfigurationError, match=r"expected inputs and metadata in lowlat\.json"):
        TorchModel(path)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found nothing at"):
        TorchModel(tmp_path / "nothing.pt")
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"garbage")
    with pytest.raises(ConfigurationError, match="is no TorchScript program"):
        TorchModel(garbage)
    foreign = tmp_path / "foreign.pt"
    torch.jit.save(torch.jit.script(Adder()), str(foreign))
    with pytest.raises(ConfigurationError, match=r"expected extra/lowlat\.json in it"):
        TorchModel(foreign)
    weights = tmp_path / "weights.pt"
    torch.save(Adder().state_dict(), weights)
    with pytest.raises(ConfigurationError, match=r"expected extra/lowlat\.json in it"):
        TorchModel(weights)
    with pytest.raises(ConfigurationError, match="cannot load it on cuda:99"):
        TorchModel(write(tmp_path / "p.pt"), device="cuda:99")


def test_without_pytorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[torch\]"):
        TorchModel(tmp_path / "p.pt")
