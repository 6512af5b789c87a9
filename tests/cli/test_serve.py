# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat serve policy` as a user runs it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pages import pages

from lowlat_nodes import resources
from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import Policy, blank_observation
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.peer import PeerState
from lowlat_nodes.stream.requester import RequestError, ServerGone
from lowlat_nodes.transport.policy.connect import connect
from lowlat_nodes.transport.zmq.subscriber import Subscriber

pytestmark = pytest.mark.remote

PATIENCE_S = 60.0
LOCAL = ("--protocol", "openpi", "--port", "0")
REMOTE = {"kind": "remote"}
ROOT = Path(__file__).resolve().parents[2]
SHIPPED = str(ROOT / "config" / "policy.yaml")


class Served:
    """A running `lowlat serve policy`."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "lowlat_nodes.cli.main", "serve", "policy", *options]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        assert " at ws://" in self.greeting
        self.address = self.greeting.split(" at ")[1].split()[0]

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, rest


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Served]:
    made = Served(*options)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


@contextlib.contextmanager
def remote(address: str, **values: Any) -> Iterator[Policy]:
    config = build(PolicyConfig, {**REMOTE, "remote.address": address, **values})
    policy: Any = load_policy(config, connect)
    try:
        yield policy
    finally:
        policy.close()


def test_a_shipped_model_acts_the_same_far_as_near() -> None:
    near = load_policy(PolicyConfig())
    random = np.random.default_rng(3)
    with serving(*LOCAL, SHIPPED) as served, remote(served.address) as far:
        assert "reach_flow" in served.greeting
        assert far.spec == near.spec
        for request in range(5):
            observation = dataclasses.replace(blank_observation(near.spec, "touch red"), request=request)
            observation.state[:] = random.normal(size=observation.state.shape)
            for image in observation.images.values():
                image[:] = random.integers(0, 255, image.shape)
            assert np.array_equal(far.infer(observation), near.infer(observation))
        assert served.end(signal.SIGTERM) == (0, "connections 1, requests 5\n")


def test_answers_count_for_the_energy_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    with serving(*LOCAL, SHIPPED) as served, remote(served.address) as far:
        for request in range(3):
            far.infer(dataclasses.replace(blank_observation(far.spec), request=request))
        [page] = pages(tmp_path)
        assert (page.unit, page.counts[""].started, page.counts[""].finished) == ("chunk", 3, 3)
        assert served.end(signal.SIGTERM)[0] == 0
    assert not pages(tmp_path)


def test_parameters_of_the_command_line_come_last(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    policy = "{model: nowhere, noise_scale: 0.0}"
    path.write_text(f"robot:\n  ros__parameters:\n    tick_hz: 50.0\n    policy: {policy}\n")
    options = (str(path), "--node", "robot", "-p", "policy.model:=reach_flow")
    with serving(*LOCAL, *options) as served, remote(served.address) as far:
        near = load_policy(PolicyConfig(noise_scale=0.0))
        observation = blank_observation(near.spec)
        assert np.array_equal(far.infer(observation), near.infer(observation))


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_client_that_wants_too_many_steps_gets_fewer_and_is_then_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from lowlat_nodes.train import loading
    from lowlat_nodes.train.steps import write_program

    path = tmp_path / "table.pt"
    write_program(loading.load_networks(resources.model("table_vlash")), path)
    options = ("-p", "policy.kind:=torch", "-p", f"policy.model:={path}", "-p", "energy.guard.most:=7.0")
    near = load_policy(build(PolicyConfig, {"kind": "torch", "model": str(path), "steps": 7}))
    with serving(*LOCAL, *options) as served, remote(served.address, steps=100) as far:
        observation = blank_observation(near.spec, "catch the ball")
        for _ in range(5):
            assert np.allclose(far.infer(observation), near.infer(observation), atol=1e-5)
        with pytest.raises(RequestError, match=r"127\.0\.0\.1 asked for far more steps than is usual"):
            far.infer(observation)
        assert served.end(signal.SIGTERM)[1].strip().endswith("cut 5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_clients_are_there(number: signal.Signals) -> None:
    with serving(*LOCAL) as served, remote(served.address) as far:
        assert served.end(number)[0] == 0
        with pytest.raises(ServerGone):
            far.infer(blank_observation(far.spec))


def test_a_server_that_is_killed_and_started_again() -> None:
    with serving(*LOCAL) as served, remote(served.address) as far:
        far.infer(blank_observation(far.spec))
        served.process.kill()
        served.process.wait(PATIENCE_S)
        with pytest.raises(ServerGone):
            far.infer(blank_observation(far.spec))
        port = served.address.rpartition(":")[2]
        with serving("--protocol", "openpi", "--port", port):
            deadline = time.monotonic() + PATIENCE_S
            while not _answers(far):
                assert time.monotonic() < deadline
                time.sleep(0.05)


def _answers(policy: Policy) -> bool:
    try:
        return bool(policy.infer(blank_observation(policy.spec)).size)
    except RequestError:
        return False


def test_a_token_in_a_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    with serving(*LOCAL, "--token-file", str(token)) as served:
        with remote(served.address, **{"remote.token_file": str(token)}) as far:
            assert far.spec.horizon
        config = build(PolicyConfig, {**REMOTE, "remote.address": served.address, "remote.wait_ms": 0.0})
        with pytest.raises(ConfigurationError, match="refuses our token"):
            load_policy(config, connect)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--protocol", "openpy"), "did you mean 'openpi'?"),
        (("--protocol", "openpi", "--host", "::"), "give both --insecure-bind and --token-file"),
        (("--protocol", "openpi", "--host", "::", "--insecure-bind"), "--token-file"),
        (("--protocol", "openpi", "--token-file", "/no/such/file"), "expected a file with a token"),
        (("--protocol", "openpi", "-p", "tick_hz:=5"), "expected parameters that begin with policy."),
        (("--protocol", "openpi", "-p", "policy.modle:=x"), "did you mean 'policy.model'"),
        (("--protocol", "openpi", "-p", "energy.guard.sigma:=5"), "did you mean 'energy.guard.sigmas'"),
        (("--protocol", "openpi", "-p", "policy.model:=/no/such.onnx"), "/no/such.onnx"),
        (("--protocol", "openpi", "/no/such.yaml"), "expected a ROS parameter file"),
        (
            ("--protocol", "openpi", SHIPPED, "--node", "x"),
            "parameters of a node 'x'",
        ),
        (("--protocol", "openpi", "-p", "policy.remote.form:=droid"), "policy.remote.state_sizes"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lowlat.main(["serve", "policy", *options]) == 2
    assert why in capsys.readouterr().err


def test_help_lists_what_can_be_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["serve"]) == 0
    assert "lowlat serve NAME" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        lowlat.main(["serve", "policy", "-h"])
    assert "openpi" in capsys.readouterr().out


def test_its_heartbeats_come_from_the_loop_that_answers() -> None:
    """A policy that hangs is seen, although the connections of its clients stand."""
    with serving_with_a_heart() as (served, heart):
        subscriber = Subscriber(heart, {}, clock=SystemClock())
        subscriber.start(lambda _message: None)
        try:

            def state() -> PeerState:
                return subscriber.peer.states(time.monotonic_ns())[0]

            until(lambda: state().state == "idle")
            with remote(served.address) as far:
                far.infer(blank_observation(far.spec))
                until(lambda: state().sequence >= 1)
            assert state().latency_ns > 0
            assert state().name
            served.process.send_signal(signal.SIGSTOP)
            until(lambda: state().lost)
        finally:
            subscriber.stop()


@contextlib.contextmanager
def serving_with_a_heart() -> Iterator[tuple[Served, str]]:
    with tempfile.TemporaryDirectory() as folder:
        heart = f"ipc://{folder}/heart"
        with serving(*LOCAL, "--heartbeat", heart) as served:
            yield served, heart


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
