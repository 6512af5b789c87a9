# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every message of docs/troubleshooting.md is provoked as a user meets it, and says what the table quotes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lowlat_nodes.transport.bag.writer import BagWriter

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0
LOWLAT = [sys.executable, "-m", "lowlat_nodes.cli.main"]
DOCTOR = [*LOWLAT, "doctor", "--json", "--only"]
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        words: What its message says; the first ones tell it from others.
        cells: As they are written.
    """

    words: tuple[str, ...]
    cells: tuple[str, ...]


def rows_of(text: str) -> list[Row]:
    """Return the rows of all tables whose first column is headed `you see`."""
    rows: list[Row] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        if cells[0] == "you see":
            inside = True
        elif inside and not cells[0].startswith("---"):
            # A command in brackets says where the message is seen; after the brackets there are other places.
            message = re.sub(r" \(`lowlat [^`]*`\).*", "", cells[0])
            rows.append(Row(tuple(CODE.findall(message)), cells))
    return rows


ROWS = rows_of((ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Bench:
    """Where messages are provoked: an empty folder, and an environment with a ROS domain of its own."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *argv: str, **variables: str) -> str:
        """Run a program to its end and return what it wrote."""
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return done.stdout

    def node(self, name: str, *parameters: str, **variables: str) -> str:
        """Start a node that refuses its configuration, and return what it logged."""
        given = [word for parameter in parameters for word in ("-p", parameter)]
        return self.run(sys.executable, "-m", f"lowlat_nodes.nodes.{name}", "--ros-args", *given, **variables)

    def doctor(self, check: str, **variables: str) -> str:
        """Return what the doctor says of one check."""
        return self.run(*DOCTOR, check, **variables)

    def inside(self, first: str, *argv: str) -> str:
        """Run a program in a mount and user namespace of its own, after a shell command."""
        tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"no namespaces for this user: {tried.stderr.strip()}")
        return self.run("unshare", "-rm", "sh", "-c", f"{first} && exec {shlex.join(argv)}")

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder, and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def bag(self) -> str:
        """Record a bag with one message, and return its path."""
        path = self.folder / "bag"
        with BagWriter(path) as writer:
            writer.write("/text", "std_msgs/msg/String", 10**9, b"\0\1\0\0\2\0\0\0a\0")
        return str(path)

    def without(self, module: str) -> str:
        """Return a PYTHONPATH on which a module is not installed."""
        error = f"raise ModuleNotFoundError(\"No module named '{module}'\", name={module!r})\n"
        folder = Path(self.write(f"without_{module}/{module}.py", error)).parent
        return f"{folder}:{ROOT}"

    def until(self, words: str, *argv: str) -> str:
        """Run a program until it says something, and return what it wrote; it is told to stop then."""
        with subprocess.Popen(
            argv,
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            watch = threading.Timer(PATIENCE_S, process.kill)
            watch.start()
            text = ""
            for line in process.stdout:
                text += line
                if words in text:
                    process.send_signal(signal.SIGINT)
                    break
            rest, _ = process.communicate()
            watch.cancel()
        return text + rest


def no_camera(bench: Bench) -> str:
    """A detector without a camera, as `lowlat top` shows it."""
    node = [sys.executable, "-m", "lowlat_nodes.nodes.detector_node", "--ros-args"]
    fixed = ["-p", "backend.kind:=onnxruntime", "-p", "backend.threads:=1"]
    with subprocess.Popen(
        [*node, *fixed],
        cwd=bench.folder,
        env=dict(bench.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            return bench.until("no input", *LOWLAT, "top", "--json", "--interval", "0.5")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


def port_in_use(bench: Bench) -> str:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        return bridge(bench, f"tcp://127.0.0.1:{holder.getsockname()[1]}")


def bridge(bench: Bench, endpoint: str) -> str:
    return bench.node(
        "bridge_node",
        f"zmq.endpoint:={endpoint}",
        "routes.camera.ros:=/camera/image",
        "routes.camera.direction:=to_zmq",
    )


def no_ensurepip(bench: Bench) -> str:
    """`python3 -m venv` as it fails where Debian's python3-venv is missing."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    python = str(getattr(sys, "_base_executable", sys.executable))
    asked = [python, "-c", "import ensurepip, os; print(os.path.dirname(ensurepip.__file__))"]
    folder = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    environment = str(bench.folder / "venv")
    make = ["make", "--no-print-directory", "-C", str(ROOT), "interfaces", f"VENV={environment}"]
    return bench.inside(f"mount -t tmpfs tmpfs {folder}", *make, f"PYTHON={python}", "ROS=")


def no_compiler(bench: Bench) -> str:
    """The package as it is where its extension could not be built."""
    copy = bench.folder / "built_without"
    leave = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "lowlat_nodes", copy / "lowlat_nodes", symlinks=False, ignore=leave)
    return bench.doctor("installation", PYTHONPATH=f"{copy}:{ROOT}")


def folder_of_another(bench: Bench) -> str:
    """A folder that this user may write, and that somebody else made where anybody may make some."""
    above = bench.folder / "anybody"
    folder = above / "energy"
    folder.mkdir(parents=True)
    above.chmod(0o777)
    if os.geteuid():
        pytest.skip("only root can give a folder to somebody else")
    os.chown(folder, 12345, -1)
    return bench.run(*LOWLAT, "energyd", LOWLAT_ENERGY_DIR=str(folder))


def unknown_schema(bench: Bench) -> str:
    folder = bench.folder / "alerts"
    folder.mkdir()
    (folder / "rubin.avro").write_bytes(b"\0\0\0\x03\x84" + bytes(8))  # of schema 900
    return bench.run(*LOWLAT, "classify", str(folder))


def killed_recorder(bench: Bench) -> str:
    bag = bench.bag()
    (Path(bag) / "metadata.yaml").unlink()
    throttle = ["--processor", "throttle", "-p", "max_hz:=5.0", "--out", str(bench.folder / "slow.mcap")]
    return bench.run(*LOWLAT, "replay", bag, *throttle)


def lost_images(bench: Bench) -> str:
    text = bench.doctor("dds")
    while "took longer than a check may take" in text:  # on a machine that is very busy
        text = bench.doctor("dds")
    if "rmw_fastrtps" not in text:
        pytest.skip("another middleware than Fast DDS")
    return text


def no_broker(bench: Bench) -> str:
    pytest.importorskip("confluent_kafka", reason="confluent_kafka is not installed (extra: alerts)")
    parameters = ["source.kind:=kafka", "kafka.bootstrap:=127.0.0.1:1", "source.kafka.group:=g"]
    given = [word for each in [*parameters, "source.kafka.topics:=['alerts']"] for word in ("-p", each)]
    return bench.until("Connect to", *LOWLAT, "serve", "alerts", *given)


def check(bench: Bench, text: str, *options: str) -> str:
    return bench.run(*LOWLAT, "up", bench.write("robot.yaml", text), "--check", *options)


PROVOKERS: dict[str, Callable[[Bench], str]] = {
    "No module named 'rclpy'": lambda bench: bench.node("detector_node", PYTHONPATH=bench.without("rclpy")),
    "this needs the Python module": lambda bench: bench.run(
        *LOWLAT, "up", "detector.yaml", "--check", PYTHONPATH=bench.without("rclpy")
    ),
    "got 'vision_msgs/msg/Detection2DArray' (No module named 'vision_msgs')": lambda bench: bench.node(
        "detector_node", "backend.kind:=onnxruntime", PYTHONPATH=bench.without("vision_msgs")
    ),
    "make: no virtual environment; try: apt install python3-venv python3-dev": no_ensurepip,
    "alerts are read in Python, many times slower": no_compiler,
    "RMW_IMPLEMENTATION=rmw_nonesuch_cpp does not load": lambda bench: bench.doctor(
        "ros", RMW_IMPLEMENTATION="rmw_nonesuch_cpp"
    ),
    "there is no parameter 'modle'; did you mean 'model'?": lambda bench: check(
        bench, "detector_node: {ros__parameters: {modle: shapes}}"
    ),
    "there is no executable 'camera'": lambda bench: check(bench, "camera: {ros__parameters: {rate: 30.0}}"),
    "--only policy_node: there is no such node; expected one of: detector_node": lambda bench: check(
        bench, "detector_node: {ros__parameters: {model: shapes}}", "--only", "policy_node"
    ),
    "no model 'shaps' comes with lowlat_nodes; did you mean 'shapes'?": lambda bench: bench.node(
        "detector_node", "model:=shaps"
    ),
    "expected an ONNX file, found nothing at": lambda bench: bench.node("detector_node", "model:=mine.onnx"),
    "expected one image input, float32 or float16 [1, 3, height, width], found 0": lambda bench: bench.node(
        "detector_node", "model:=reach_flow", "backend.kind:=onnxruntime"
    ),
    "observation.joints.names: the policy moves 3 joints ['shoulder', 'elbow', 'wrist']": lambda bench: (
        bench.node("policy_node", "observation.joints.names:=[a, b]")
    ),
    "there is no processor 'nonesuch'; known:": lambda bench: bench.run(
        *LOWLAT, "replay", bench.bag(), "--processor", "nonesuch"
    ),
    "no input: nobody publishes /image": no_camera,
    "images arrived, best effort, as this shell is": lost_images,
    "which does not exist: Fast DDS goes on without a profile": lambda bench: bench.doctor(
        "ros", FASTRTPS_DEFAULT_PROFILES_FILE=str(bench.folder / "moved.xml")
    ),
    "A process that finds no room is killed by SIGBUS": lambda bench: bench.inside(
        "mount -t tmpfs -o size=64m tmpfs /dev/shm", *DOCTOR, "memory"
    ),
    "ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: no process hears of any other one": lambda bench: bench.doctor(
        "ros", ROS_AUTOMATIC_DISCOVERY_RANGE="OFF"
    ),
    "Address already in use; end the process that": port_in_use,
    "other machines can reach this address, and nothing would keep strangers out": lambda bench: bridge(
        bench, "tcp://0.0.0.0:5599"
    ),
    "Kafka: 127.0.0.1:1/bootstrap: Connect to": no_broker,
    "unknown schema 900: no file has it, and no registry is set": unknown_schema,
    "there is no metadata.yaml: the recorder did not stop properly": killed_recorder,
    "Refused (Operation not permitted; RLIMIT_RTPRIO is 0": lambda bench: bench.inside(
        "ulimit -r 0", *DOCTOR, "realtime"
    ),
    "Nothing is measured here": lambda bench: bench.run(
        *LOWLAT, "energy", "meters", "--for", "0.1", LOWLAT_SYSFS_ROOT=str(bench.folder)
    ),
    "or root as its owner, it belongs to uid": folder_of_another,
}
"""The first words of a row, and what provokes its message."""


@pytest.fixture
def bench(tmp_path: Path, ros_domain_id: int) -> Bench:
    own = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
    kept = {name: value for name, value in os.environ.items() if name not in own}
    path = f"{ROOT}:{kept.get('PYTHONPATH', '')}"
    return Bench(tmp_path, {**kept, "ROS_DOMAIN_ID": str(ros_domain_id), "PYTHONPATH": path})


@pytest.mark.parametrize("row", ROWS, ids=[row.words[0][:40] for row in ROWS])
def test_the_message_is_what_the_table_says(row: Row, bench: Bench) -> None:
    assert row.words[0] in PROVOKERS, "a row whose message nothing provokes"
    said = " ".join(PROVOKERS[row.words[0]](bench).split())
    for words in row.words:
        assert words in said


def test_every_message_that_is_provoked_has_a_row() -> None:
    assert [row.words[0] for row in ROWS] == list(PROVOKERS)
    assert all(len(row.cells) == 3 and all(row.cells) for row in ROWS)


def test_the_readme_has_the_most_frequent_ones() -> None:
    rows = rows_of((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(rows) >= 6
    known = {row.words[0]: row for row in ROWS}
    for row in rows:
        assert row.words[0] in known
        assert row.words == known[row.words[0]].words


def test_reading_a_table() -> None:
    text = "| you see | why |\n|---|---|\n| `a b` (`lowlat x`), `c` there | `d \\| e` |\n\n| `f` | g |\n"
    assert rows_of(text) == [Row(("a b",), ("`a b` (`lowlat x`), `c` there", "`d \\| e`"))]
