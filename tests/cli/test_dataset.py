# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat dataset`: bags to a dataset and back, and what it refuses with which words."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lowlat_nodes.cli.main import main as lowlat
from lowlat_nodes.cli.motion import read_motion
from lowlat_nodes.stream.payload import NO_FLOATS, CompressedImage, Image, Joints, Text, Trajectory
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter
from lowlat_nodes.transport.bag.codec import TYPES_OF_PAYLOADS
from lowlat_nodes.transport.dataset import DatasetReader

pytestmark = pytest.mark.dataset

MS = 1_000_000
START_NS = 1_600_000_000 * 1000 * MS
JOINTS = ("lift", "turn", "grip")

PARAMETERS = """
my_node:
  ros__parameters:
    observation:
      joints:
        topic: joint_states
        names: [lift, turn, grip]
      camera:
        front:
          topic: front/image
          width: 16
          height: 12
      task:
        topic: task
        text: stand by
    command:
      topic: ~/commands
"""
NODE = ("--node", "my_node")


def record(
    path: Path,
    seconds: float = 2.0,
    *,
    image: Callable[[np.ndarray], Any] = lambda pixels: Image(pixels, "rgb8"),
    command: Callable[[np.ndarray], Any] = lambda target: target,
    names: tuple[str, ...] = JOINTS,
    seed: int = 0,
    without: str = "",
) -> Path:
    """Record a robot whose streams have rates and phases of their own."""
    random = np.random.default_rng(seed)
    events: list[tuple[int, str, Any]] = [(START_NS, "/task", Text("pick up"))]
    events.append((START_NS + round(seconds * 600) * MS, "/task", Text("put down")))
    for at in range(0, round(seconds * 1000), 8):
        position, velocity = random.uniform(0.1, 0.9, 3), random.uniform(0.1, 0.9, 3)
        events.append((START_NS + at * MS, "/joint_states", Joints(names, position, velocity, NO_FLOATS)))
    events += [
        (START_NS + at * MS, "/my_node/commands", command(random.uniform(0.1, 0.9, 3)))
        for at in range(5, round(seconds * 1000), 10)
    ]
    for at in range(3, round(seconds * 1000), 40):
        pixels = random.integers(0, 256, (12, 16, 3), np.uint8)
        events.append((START_NS + at * MS, "/front/image", image(pixels)))
    with BagWriter(path, chunk_bytes=20_000) as writer:
        for stamp_ns, topic, payload in sorted(events, key=lambda event: event[0]):
            if topic != without:
                kind = TYPES_OF_PAYLOADS[type(payload)]
                writer.write(topic, kind, stamp_ns, cdr.encode(kind, stamp_ns, "", payload))
    return path


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "robot.yaml"
    path.write_text(PARAMETERS)
    return path


@pytest.fixture
def dataset(tmp_path: Path, params: Path) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        return lowlat(["dataset", *map(str, arguments), "--params", str(params), *NODE])

    return run


def table(folder: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(folder / "data/chunk-000/file-000.parquet").to_pydict()


def left(folder: Path) -> list[str]:
    """The names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def mono(pixels: np.ndarray) -> Image:
    return Image(np.ascontiguousarray(pixels[..., 0]), "mono8")


def jpeg(pixels: np.ndarray) -> CompressedImage:
    return CompressedImage(cv2.imencode(".jpg", pixels)[1], "jpeg")


def point(target: np.ndarray) -> Trajectory:
    times = np.array([10 * MS])
    return Trajectory(("grip", "turn", "lift"), 0, times, target[None, ::-1], NO_FLOATS, NO_FLOATS)


CAMERA = "observation.camera.front"


@pytest.mark.parametrize(
    ("recorded", "options"),
    [
        ({}, ()),
        ({}, ("--velocities",)),
        ({"image": lambda pixels: Image(pixels, "bgr8")}, ("-p", f"{CAMERA}.encoding:=bgr8")),
        ({"image": mono}, ("-p", f"{CAMERA}.encoding:=mono8")),
        ({"image": jpeg}, ("-p", f"{CAMERA}.compressed:=true")),
        ({"command": point}, ("-p", "command.kind:=point")),
        ({}, ("-p", "observation.joints.unit:=deg", "--velocities")),
        ({}, ("-p", "observation.gripper.grip.closed:=1.0", "-p", "observation.gripper.grip.open:=-1.0")),
    ],
    ids=["plain", "velocities", "bgr8", "mono8", "jpeg", "points", "degrees", "gripper"],
)
def test_a_bag_of_a_dataset_gives_the_same_dataset(
    recorded: dict[str, Any], options: tuple[str, ...], dataset: Callable[..., int], tmp_path: Path
) -> None:
    bag = record(tmp_path / "robot.mcap", **recorded)
    robot = [item for item in options if item != "--velocities"]
    assert dataset(bag, "-o", tmp_path / "first", "--fps", 25, *options) == 0
    assert dataset(tmp_path / "first", "--to-bag", tmp_path / "bags", *robot) == 0
    assert left(tmp_path / "bags") == ["episode_000000.mcap"]
    again = tmp_path / "bags" / "episode_000000.mcap"
    assert dataset(again, "-o", tmp_path / "second", "--fps", 25, *options) == 0
    first, second = table(tmp_path / "first"), table(tmp_path / "second")
    assert len(first["index"]) == 49
    assert first == second
    for name in ("info.json", "stats.json", "tasks.parquet"):
        texts = [(tmp_path / made / "meta" / name).read_bytes() for made in ("first", "second")]
        assert texts[0] == texts[1]


def test_frames_show_what_was_recorded(dataset: Callable[..., int], tmp_path: Path) -> None:
    bag = record(tmp_path / "robot.mcap")
    assert dataset(bag, "-o", tmp_path / "set", "--fps", 25) == 0
    reader = DatasetReader(tmp_path / "set")
    assert reader.layout.state == ("lift.pos", "turn.pos", "grip.pos")
    assert reader.tasks == ("pick up", "put down")
    frames = list(reader.frames(reader.episodes[0]))
    with BagReader(bag) as messages:
        motion, _ = read_motion(messages, "/my_node/commands", "/joint_states", JOINTS)
    for number, frame in enumerate(frames):
        at_ns = START_NS + (number + 1) * 40 * MS
        state = motion.position[np.searchsorted(motion.state_ns, at_ns, side="right") - 1]
        command = motion.commands[np.searchsorted(motion.command_ns, at_ns, side="right") - 1]
        np.testing.assert_array_equal(frame.state, state.astype(np.float32))
        np.testing.assert_array_equal(frame.action, command.astype(np.float32))
        assert frame.task == ("pick up" if at_ns < START_NS + 1200 * MS else "put down")


def test_each_bag_is_an_episode_and_a_task_may_be(
    dataset: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = [record(tmp_path / f"{number}.mcap", seed=number) for number in range(2)]
    assert dataset(*bags, "-o", tmp_path / "set", "--split-tasks", "--robot-type", "arm", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["episodes"] == 4
    assert report["cuts"] == {"another task": 2}
    assert report["damage"] == []
    reader = DatasetReader(tmp_path / "set")
    assert [episode.index for episode in reader.episodes] == [0, 1, 2, 3]
    assert sum(episode.length for episode in reader.episodes) == report["frames"]
    assert reader.layout.robot_type == "arm"
    assert dataset(tmp_path / "set", "--to-bag", tmp_path / "bags") == 0
    assert left(tmp_path / "bags") == [f"episode_{number:06d}.mcap" for number in range(4)]


def test_the_same_bag_gives_the_same_bytes(dataset: Callable[..., int], tmp_path: Path) -> None:
    bag = record(tmp_path / "robot.mcap", 1.0)
    for name in ("a", "b"):
        assert dataset(bag, "-o", tmp_path / name) == 0
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) == 5
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_task_and_the_commands_of_the_command_line(
    dataset: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = record(tmp_path / "robot.mcap", 1.0, without="/task")
    topic = ("--commands", "/my_node/commands")
    assert dataset(bag, "-o", tmp_path / "set", "-p", "command.topic:=/gone", *topic, "--task", "1") == 0
    assert "no topic /task" in capsys.readouterr().err
    assert DatasetReader(tmp_path / "set").tasks == ("1",)


def test_replay_and_identify_read_the_bags(tmp_path: Path) -> None:
    """With the parameters and the policy that ship with the package."""
    names, bag = ("shoulder", "elbow", "wrist"), tmp_path / "robot.mcap"
    with BagWriter(bag) as writer:
        for number in range(60):
            stamp_ns = START_NS + number * 20 * MS
            swing = 0.3 * np.sin(number / 10 + np.arange(3)) + 0.5
            payloads = {
                "/joint_states": Joints(names, swing, np.zeros(3), NO_FLOATS),
                "/camera/image": Image(np.full((120, 160, 3), number, np.uint8), "rgb8"),
                "/arm/commands": swing + 0.1,
            }
            for topic, payload in payloads.items():
                kind = TYPES_OF_PAYLOADS[type(payload)]
                writer.write(topic, kind, stamp_ns, cdr.encode(kind, stamp_ns, "", payload))
    assert lowlat(["dataset", str(bag), "-o", str(tmp_path / "set"), "--fps", "50", "--velocities"]) == 0
    assert lowlat(["dataset", str(tmp_path / "set"), "--to-bag", str(tmp_path / "bags")]) == 0
    again = tmp_path / "bags" / "episode_000000.mcap"
    with BagReader(again) as messages:
        motion, left_out = read_motion(messages, "/arm/commands", "/joint_states")
    assert len(motion.commands) == len(motion.position) == len(motion.velocity) == 60
    assert left_out.snapshot() == {}
    out = tmp_path / "commands.mcap"
    assert lowlat(["replay", str(again), "--processor", "policy", "--out", str(out)]) == 0
    with BagReader(out) as commands:
        assert commands.counts["/arm/commands"] > 100


def test_a_truncated_bag_gives_what_can_be_read(
    dataset: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = record(tmp_path / "robot.mcap", 4.0)
    data = bag.read_bytes()
    bag.write_bytes(data[: len(data) // 2])
    assert dataset(bag, "-o", tmp_path / "set", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["damage"]
    assert report["damage"][0].startswith(str(bag))
    assert 30 < report["frames"] < 90
    reader = DatasetReader(tmp_path / "set")
    assert sum(1 for _ in reader.frames(reader.episodes[0])) == report["frames"]


@pytest.mark.parametrize(
    ("recorded", "options", "words"),
    [
        ({"without": "/front/image"}, (), "expected a topic /front/image of type sensor_msgs/msg/Image"),
        ({"without": "/joint_states"}, (), "expected a topic /joint_states"),
        ({"without": "/my_node/commands"}, (), "expected a topic /my_node/commands"),
        ({}, ("--commands", "/task"), "got std_msgs/msg/String; topics of that type: /my_node/commands"),
        (
            {},
            ("-p", f"{CAMERA}.compressed:=true"),
            "expected a topic /front/image of type sensor_msgs/msg/Comp",
        ),
        (
            {"names": ("lift", "turn", "hand")},
            (),
            r"no joint state at the end; joint_states: .*'grip'.* missing",
        ),
        ({"command": lambda target: target[:2]}, (), "no command at the end.*commands of 3 finite numbers"),
        ({"image": mono}, (), "no image of a camera at the end.*expected 16x12 rgb8, got 16x12 mono8"),
        ({"seconds": 0.2}, (), "1 episodes of fewer than the least number of frames"),
        ({}, ("-p", "observation.joint.topic:=x"), "did you mean 'observation.joints.topic'"),
        ({}, ("--fps", "5000"), "expected 1 to 1000 fps"),
    ],
)
def test_a_bag_that_does_not_fit_the_parameters(
    recorded: dict[str, Any],
    options: tuple[str, ...],
    words: str,
    dataset: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out").mkdir()
    bag = record(tmp_path / "robot.mcap", **{"seconds": 1.0, **recorded})
    assert dataset(bag, "-o", tmp_path / "out" / "set", *options) == 2
    assert left(tmp_path / "out") == []
    assert re.search(words, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("-p", "observation.joints.names:=[turn, lift, grip]"),
            "observation.state: the parameters have the joints",
        ),
        (("-p", "observation.joints.names:=[lift, turn]"), "expected the parameters of the robot"),
        (("-p", f"{CAMERA}.width:=32"), "the dataset has images front 16x12, the parameters front 32x12"),
        (("-p", f"{CAMERA}.feature:=observation.images.top"), "the parameters top 16x12"),
    ],
)
def test_a_dataset_of_another_robot(
    options: tuple[str, ...],
    words: str,
    dataset: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out").mkdir()
    assert dataset(record(tmp_path / "robot.mcap", 1.0), "-o", tmp_path / "set") == 0
    assert dataset(tmp_path / "set", "--to-bag", tmp_path / "out" / "bags", *options) == 2
    assert re.search(words, capsys.readouterr().err)
    assert left(tmp_path / "out") == []


def test_a_dataset_of_another_version(
    dataset: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set" / "meta").mkdir(parents=True)
    (tmp_path / "set" / "meta" / "info.json").write_text('{"codebase_version": "v2.1"}')
    assert dataset(tmp_path / "set", "--to-bag", tmp_path / "bags") == 2
    assert "convert_dataset_v21_to_v30" in capsys.readouterr().err
    assert not (tmp_path / "bags").exists()


def test_names_without_suffixes_are_joints_too(dataset: Callable[..., int], tmp_path: Path) -> None:
    assert dataset(record(tmp_path / "robot.mcap", 1.0), "-o", tmp_path / "set") == 0
    info = tmp_path / "set" / "meta" / "info.json"
    info.write_text(info.read_text().replace(".pos", ""))
    assert dataset(tmp_path / "set", "--to-bag", tmp_path / "bags") == 0


@pytest.mark.parametrize("way", ["-o", "--to-bag"])
def test_without_pyarrow_it_says_what_to_install(
    way: str,
    dataset: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag, made = record(tmp_path / "robot.mcap", 1.0), tmp_path / "set"
    assert dataset(bag, "-o", made) == 0
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert dataset(bag if way == "-o" else made, way, tmp_path / "out") == 2
    assert "pip install 'lowlat_nodes[dataset]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_output_is_checked_before_the_work(
    dataset: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dataset(tmp_path / "none.mcap", "-o", tmp_path) == 2
    assert "exists already" in capsys.readouterr().err
    assert dataset(tmp_path / "none.mcap", "-o", tmp_path / "nowhere" / "set") == 2
    assert "expected a folder that can be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["a"], ["a", "b", "--to-bag", "c"], ["a", "-o", "b", "--to-bag", "c"], ["a", "-o", "b", "--fps", "0"]],
)
def test_a_wrong_command_line(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        lowlat(["dataset", *arguments])
    assert raised.value.code == 2
