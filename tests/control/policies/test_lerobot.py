# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of LeRobot: what they are as policies, and how each that cannot be used is refused."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot_checkpoints import HEIGHT, ROWS, WIDTH, python_with_stand_in, write_checkpoint

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.contract import Contract
from lowlat_nodes.control.policies.lerobot import LerobotConfig, LerobotPolicy
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec, infer
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, ServerError, ServerGone
from lowlat_nodes.transport.policy.process_client import ProcessClient

SAID = {"state": 2, "action": 2, "rows": 3, "images": {"observation.images.top": [4, 6]}, "takes_task": True}
SEEN = Observation(np.float32([1, 2]), {"top": np.full((4, 6, 3), 9, np.uint8)}, "go", 7)


class Scripted:
    """A process that is called directly."""

    def __init__(self, said: Mapping[str, Any], answer: Any = None) -> None:
        self.said, self.answer = said, answer
        self.requests: list[Mapping[str, Any]] = []

    def describe(self) -> Mapping[str, Any]:
        return self.said

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> Mapping[str, Any]:
        assert deadline_ns > time.monotonic_ns()
        self.requests.append(observation)
        return {"actions": self.answer}

    def close(self) -> None: ...


def policy(process: Scripted, period_ns: int = 20_000_000, kind: str = "", **values: Any) -> LerobotPolicy:
    config = build(LerobotConfig, values)
    return LerobotPolicy(process, config, action_period_ns=period_ns, action_kind=kind, timeout_ns=10**9)


def test_a_checkpoint_as_a_policy() -> None:
    actions = np.arange(6, dtype=np.float32).reshape(3, 2)
    process = Scripted(SAID, actions)
    made = policy(process)
    assert made.spec == PolicySpec(
        (), ("position",), {"top": ImageSpec(4, 6)}, True, 3, 20_000_000, (False, False)
    )
    found = made.infer(SEEN)
    assert found.dtype == np.float64
    assert np.array_equal(found, actions)
    (request,) = process.requests
    assert request["observation.state"].tolist() == [1.0, 2.0]
    assert request["observation.images.top"] is SEEN.images["top"]
    assert (request["task"], request["number"]) == ("go", 7)


def test_parameters_say_what_a_checkpoint_does_not() -> None:
    made = policy(Scripted(SAID | {"state": 4}), kind="delta", state_fields=["position", "velocity"])
    assert made.spec.state_fields == ("position", "velocity")
    assert made.spec.delta == (True, True)
    with pytest.raises(ConfigurationError, match=r"policy\.action_period_ms must be given"):
        policy(Scripted(SAID), period_ns=0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"state": 3}, "position of 2 joints make 2 numbers, but the checkpoint's state has 3"),
        ({"action": 0}, "expected action as a number, got 0"),
        ({"rows": 1 << 40}, "expected rows as a number"),
        ({"rows": None}, "expected rows as a number, got None"),
        ({"images": {"observation.images.top": [4]}}, "as an image"),
        ({"images": {"observation.images.top": [4, "6"]}}, "as a number, got '6'"),
        (
            {"images": {"observation.images.a": [4, 6], "observation.a": [4, 6]}},
            "cannot take 'observation.a'",
        ),
    ],
)
def test_what_a_process_says_is_checked(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        policy(Scripted(SAID | said))


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (np.full((3, 2), np.nan, np.float32), "NaN or infinity"),
        (np.zeros((2, 2), np.float32), "expected float32 actions of shape"),
        (np.zeros((3, 3), np.float32), "expected float32 actions of shape"),
        (np.zeros((3, 2)), "expected float32 actions"),
        ("forward", "got None"),
        (None, "got None"),
    ],
)
def test_actions_that_do_not_fit_are_refused(actions: Any, words: str) -> None:
    with pytest.raises(AnswerRefused, match=words):
        policy(Scripted(SAID, actions)).infer(SEEN)


@pytest.mark.parametrize("missing", ["directory", "python"])
def test_both_places_must_be_given(missing: str) -> None:
    values = {"kind": "lerobot", "lerobot.directory": "/a", "lerobot.python": "/b"}
    with pytest.raises(ConfigurationError, match="must be given for kind lerobot"):
        build(PolicyConfig, values | {f"lerobot.{missing}": ""})


def test_a_checkpoint_needs_a_process() -> None:
    config = build(PolicyConfig, {"kind": "lerobot", "lerobot": {"directory": "/a", "python": "/b"}})
    with pytest.raises(ConfigurationError, match="expected a policy of this process here, got 'lerobot'"):
        load_policy(config)


class Loader:
    """Loads checkpoints in processes, and ends these."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[Any] = []

    def load(self, directory: Path, python: Path | str, **values: Any) -> Any:
        lerobot = {"directory": str(directory), "python": str(python), **values.pop("lerobot", {})}
        config = build(
            PolicyConfig, {"kind": "lerobot", "action_period_ms": 20.0, "lerobot": lerobot, **values}
        )
        self._made.append(load_policy(config, None, ProcessClient))
        return self._made[-1]

    def close(self) -> None:
        for made in self._made:
            made.close()


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Loader]:
    made = Loader(tmp_path)
    yield made
    made.close()


Write = Callable[[Path], Any]

CANNOT_BE_USED: dict[str, tuple[Write, str]] = {
    "nothing": (lambda folder: None, "config.json, model.safetensors, .* missing"),
    "parent": (
        lambda folder: write_checkpoint(folder / "pretrained_model"),
        "did you mean .*pretrained_model",
    ),
    "no processors": (
        lambda folder: [path.unlink() for path in write_checkpoint(folder).glob("policy_*.json")],
        "LeRobot before 0.4 wrote none",
    ),
    "diffusion": (
        lambda folder: write_checkpoint(folder, type="diffusion", n_obs_steps=2),
        "expected a policy of type act, smolvla, pi0, pi05, got 'diffusion', which looks at 2 observations",
    ),
    "many observations": (lambda folder: write_checkpoint(folder, n_obs_steps=3), "looks at 3 observations"),
    "no JSON": (
        lambda folder: (write_checkpoint(folder) / "config.json").write_text("[" * 100_000),
        "config.json: expected JSON",
    ),
    "no map": (lambda folder: (write_checkpoint(folder) / "config.json").write_text("[]"), "expected a map"),
    "no steps": (lambda folder: write_checkpoint(folder, steps={}), "expected a list of steps"),
    "code": (
        lambda folder: write_checkpoint(
            folder, steps={"steps": [{"class": "subprocess.Popen", "config": {"args": ["touch", "x"]}}]}
        ),
        "by their registered names, got the class 'subprocess.Popen'",
    ),
}


@pytest.mark.parametrize("case", CANNOT_BE_USED)
def test_what_is_no_checkpoint_is_refused_without_lerobot(case: str, loader: Loader) -> None:
    write, words = CANNOT_BE_USED[case]
    folder = loader.folder / "checkpoint"
    folder.mkdir()
    write(folder)
    with pytest.raises(ConfigurationError, match=words):
        loader.load(folder, sys.executable)


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("/nowhere/bin/python", "cannot run '/nowhere/bin/python': No such file or directory"),
        ("/etc/passwd", "cannot run '/etc/passwd': Permission denied"),
        ("/bin/true", "/bin/true ended with status 0; its output says why"),
    ],
)
def test_what_is_no_python_is_refused(python: str, words: str, loader: Loader) -> None:
    with pytest.raises(ConfigurationError, match=words):
        loader.load(write_checkpoint(loader.folder / "checkpoint"), python)


def test_a_python_without_lerobot_is_refused(loader: Loader) -> None:
    python = python_with_stand_in(loader.folder, library=loader.folder)
    with pytest.raises(
        ConfigurationError, match=r"lacks .*expected the Python of an environment with LeRobot"
    ):
        loader.load(write_checkpoint(loader.folder / "checkpoint"), python)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that has a stand-in for LeRobot."""
    return python_with_stand_in(tmp_path)


@pytest.mark.torch
def test_a_checkpoint_runs_in_a_process(loader: Loader, python: Path) -> None:
    made = loader.load(write_checkpoint(loader.folder / "checkpoint"), python)
    assert made.spec == PolicySpec(
        (), ("position",), {"top": ImageSpec(HEIGHT, WIDTH)}, False, ROWS, 20_000_000, (False, False)
    )
    seen = Observation(np.float32([0.5, -1.0]), {"top": np.full((HEIGHT, WIDTH, 3), 51, np.uint8)}, "go")
    actions = infer(made, seen)
    assert np.allclose(actions[0], [0.5 + 0.02 + 0.2, -1.0 + 0.02 + 0.2], atol=1e-6)
    assert np.allclose(np.diff(actions, axis=0), 0.02, atol=1e-6)


@pytest.mark.torch
def test_noise_repeats_with_the_request_and_its_scale_counts(loader: Loader, python: Path) -> None:
    folder = write_checkpoint(loader.folder / "checkpoint", type="smolvla", images={})
    made = loader.load(folder, python, seed=3)
    still = loader.load(folder, python, noise_scale=0.0)
    assert made.spec.takes_task

    def actions(of: Any, request: int) -> list[float]:
        return infer(of, Observation(np.zeros(2, np.float32), {}, "go", request)).ravel().tolist()

    assert actions(made, 1) == actions(made, 1)
    assert actions(made, 1) != actions(made, 2)
    assert actions(still, 1) == actions(still, 2)


@pytest.mark.torch
def test_a_camera_that_the_checkpoint_fills_in_is_not_asked_for(loader: Loader, python: Path) -> None:
    images = {f"observation.images.{name}": [3, 4, 6] for name in ("top", "empty_camera_0")}
    made = loader.load(write_checkpoint(loader.folder / "checkpoint", images=images), python)
    assert made.spec.images == {"top": ImageSpec(4, 6)}


@pytest.mark.torch
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": {"gain.weight": np.eye(3)}}, "LeRobot cannot load .*size mismatch"),
        ({"weights": {"other.weight": np.eye(2)}}, "2 of 2 weights are not those of .*'gain.weight'"),
        ({"chunk_size": 0}, "LeRobot cannot load .*RuntimeError"),
        ({"type": "pi0"}, "lacks transformers_of_pi0"),
        ({"images": {"observation.images.depth": [1, 4, 6]}}, r"expected a shape \[3, height, width\]"),
        (
            {
                "output_features": {
                    "action": {"type": "ACTION", "shape": [2]},
                    "value": {"type": "x", "shape": [1]},
                }
            },
            "expected action as its only output, got action, value",
        ),
        (
            {"input_features": {"observation.environment_state": {"type": "ENV", "shape": [4]}}},
            "expected observation.state and images as its inputs, got observation.environment_state",
        ),
    ],
)
def test_a_checkpoint_that_does_not_load_is_refused(
    changes: dict[str, Any], words: str, loader: Loader, python: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        loader.load(write_checkpoint(loader.folder / "checkpoint", **changes), python)


@pytest.mark.torch
def test_a_device_that_is_not_there_is_refused(loader: Loader, python: Path) -> None:
    with pytest.raises(ConfigurationError, match="LeRobot cannot load"):
        loader.load(write_checkpoint(loader.folder / "c"), python, device="cuda:99")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joints": 3}, r"observation\.joints\.names: the policy moves 3 joints, got 2"),
        (
            {"images": {"observation.images.wrist": [3, 4, 6]}},
            r"takes images \['wrist'\], the contract gives",
        ),
        ({"images": {}}, r"takes images \[\], the contract gives \['top'\]"),
    ],
)
def test_a_checkpoint_of_another_robot_is_refused(
    changes: dict[str, Any], words: str, loader: Loader, python: Path
) -> None:
    made = loader.load(write_checkpoint(loader.folder / "checkpoint", **changes), python)
    camera = {"top": {"topic": "image", "height": HEIGHT, "width": WIDTH}}
    observation = {"joints": {"names": ["a", "b"]}, "camera": camera}
    config = build(ControlConfig, {"observation": observation})
    with pytest.raises(ConfigurationError, match=words):
        Contract(config.observation, config.command, made.spec)


@pytest.mark.torch
def test_what_goes_wrong_in_flight_costs_the_request(loader: Loader, python: Path) -> None:
    made = loader.load(write_checkpoint(loader.folder / "checkpoint", images={}), python)

    def ask(task: str) -> Any:
        return infer(made, Observation(np.zeros(2, np.float32), {}, task))

    for task, error, words in (
        ("raise", ServerError, "RuntimeError: CUDA out of memory"),
        ("nan", AnswerRefused, "NaN or infinity"),
        ("shape", ServerError, "expected actions of 2 numbers"),
        ("rows", AnswerRefused, "expected float32 actions of shape"),
    ):
        with pytest.raises(error, match=words):
            ask(task)
        assert ask("go").shape == (ROWS, 2)
    with pytest.raises(ServerGone, match="ended by SIGABRT"):
        ask("die")


@pytest.mark.torch
def test_other_weights_are_refused_until_the_node_is_configured_anew(loader: Loader, python: Path) -> None:
    folder = loader.folder / "checkpoint"
    made = loader.load(write_checkpoint(folder, images={}), python)
    write_checkpoint(folder, images={}, weights={"gain.weight": -np.eye(2)})
    errors = []
    deadline = time.monotonic() + 60.0
    for task in itertools.chain(["die"], itertools.repeat("go")):
        with pytest.raises((AnswerRefused, ServerGone)) as caught:
            infer(made, Observation(np.zeros(2, np.float32), {}, task))
        errors.append(str(caught.value))
        if "another one than at configuration" in errors[-1] or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    assert "another one than at configuration" in errors[-1]


def test_a_home_folder_is_written_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/robot")
    config = build(LerobotConfig, {"directory": "~/act", "python": "~/lerobot/bin/python"})
    python, _, options = config.command(device="cuda", threads=2, seed=3, noise_scale=0.5)
    assert python == "/home/robot/lerobot/bin/python"
    assert json.loads(options) == {
        "directory": "/home/robot/act", "device": "cuda", "threads": 2, "seed": 3, "noise_scale": 0.5,
    }  # fmt: skip
