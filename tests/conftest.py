# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every test may use: a ROS domain of its own, recorded data; no test may leave a process behind."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from lowlat_nodes.transport import leftovers

ROOT = Path(__file__).resolve().parents[1]

# An example takes as long as the machine needs, and so does making one up.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

# Below 233, the last one whose ports exist; above 100, out of the way of whoever works by hand.
DOMAINS = range(100, 201)

REQUIREMENTS = {
    "ros": ("rclpy", "ros"),
    "sim": ("mujoco", "sim"),
    "torch": ("torch", "torch"),
    "remote": ("websockets", "remote"),
    "dataset": ("pyarrow", "dataset"),
    "finetune": ("peft", "finetune"),
    "openvino": ("openvino", "openvino"),
    "tracking": ("scipy", "tracking"),
    "photographs": ("skimage", "train"),
    "zenoh": ("zenoh", "zenoh"),
    "numba": ("numba", "kernels"),
    "triton": ("triton", "triton"),
}
"""Marker: the module that it needs and the extra that brings it."""

_domain_turns = itertools.count()


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes of tests; a shell has what it runs in the background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for marker, (module, extra) in REQUIREMENTS.items():
        if importlib.util.find_spec(module) is not None:
            continue
        reason = f"{module} is not installed (extra: {extra})"
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Free the shared memory of nodes that tests have killed, 67 MB each, once the last worker has ended."""
    if not hasattr(session.config, "workerinput"):
        leftovers.reap()


@pytest.fixture
def data_dir() -> Path:
    """The folder of recorded data: LOWLAT_TEST_DATA, or shared/data beside the project."""
    folder = Path(os.environ.get("LOWLAT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} does not exist (set LOWLAT_TEST_DATA)")
    return folder


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Torch on one thread, from the same seed each time."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def ros_domain_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """A ROS domain that no other test on this machine uses, set for this process and its children."""
    domain, lock = _claim_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "ros_log"))
    yield domain
    os.close(lock)


@pytest.fixture(scope="module")
def module_ros_domain_id() -> Iterator[int]:
    """A ROS domain for nodes that the tests of a module share; they must be told the number."""
    domain, lock = _claim_domain()
    with mock.patch.dict(os.environ, ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST"):
        yield domain
    os.close(lock)


@pytest.fixture(scope="session", autouse=True)
def _folders_of_a_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nodes of tests are no business of a sampler of this machine, and share no device with its nodes."""
    folders = {
        f"LOWLAT_{what.upper()}_DIR": str(tmp_path_factory.mktemp(what)) for what in ("energy", "turn")
    }
    with mock.patch.dict(os.environ, folders):
        yield


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Undo what a test changes in the environment; a node that runs in the tests' process prepares it."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def _own_scheduler() -> Iterator[None]:
    """See to it that the tests' process stays with the normal scheduler: what it starts inherits another."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, "the test asked for real-time priority in this process"


@pytest.fixture(autouse=True)
def _ros_environment(request: pytest.FixtureRequest) -> None:
    """Give every test marked `ros` a domain of its own, whether it asks for the number or not."""
    if request.node.get_closest_marker("ros"):
        request.getfixturevalue("ros_domain_id")


@pytest.fixture(autouse=True)
def _no_child_left() -> Iterator[None]:
    """Fail a test that leaves a process behind, and end that process."""
    before = _children()
    yield
    left = _children() - before
    # A process that was just told to end needs a moment.
    deadline = time.monotonic() + 30.0
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left &= _children()
    commands = [_command(pid) for pid in left]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"processes that outlived their test: {commands}"


def _claim_domain() -> tuple[int, int]:
    """Return a free domain and the lock that holds it; a domain used just now comes again last."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    folder = Path(tempfile.gettempdir()) / f"lowlat_test_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    first = os.getpid() + 37 * worker + next(_domain_turns)
    for offset in range(len(DOMAINS)):
        domain = DOMAINS[(first + offset) % len(DOMAINS)]
        lock = os.open(folder / str(domain), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        if _is_inhabited(domain):
            os.close(lock)
            continue
        return domain, lock
    pytest.fail("every ROS domain from 100 to 200 is taken by other tests on this machine")


def _is_inhabited(domain: int) -> bool:
    """Whether a participant holds the domain's first port, say of a node that outlived its tests."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7410 + 250 * domain))
        except OSError:
            return True
    return False


def _children() -> set[int]:
    """Return the running children of this process; those that have ended and wait to be read do not count."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found.update(map(int, _read(task / "children").split()))
    return {pid for pid in found if _is_running(pid) and not _serves_multiprocessing(pid)}


def _is_running(pid: int) -> bool:
    state = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return bool(state) and state[0] not in {"Z", "X"}


def _serves_multiprocessing(pid: int) -> bool:
    """Whether this is one of the two processes that the standard library keeps until the interpreter ends."""
    command = _command(pid)
    return "multiprocessing.resource_tracker" in command or "multiprocessing.forkserver" in command


def _command(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()


def _read(path: Path) -> str:
    """Return a file of /proc, or nothing if its process or thread has gone."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
