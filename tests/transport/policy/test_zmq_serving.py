# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies behind the ZeroMQ protocols, from parameters to actions: served, asked, and answered badly."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq.auth
from zmq_peers import Scripted, envelope

from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec, blank_observation
from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.energy.guard import Guard, GuardSettings
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, RequestError, RequestLate
from lowlat_nodes.transport.policy.connect import connect
from lowlat_nodes.transport.policy.serve import PolicyServer, make_server

SPEC = PolicySpec(("a", "b"), ("position",), {"eye": ImageSpec(4, 6)}, True, 3, 20_000_000, (False, False))
OBSERVATION = Observation(np.array([0.5, 1.0], np.float32), {"eye": np.full((4, 6, 3), 2, np.uint8)}, "go", 7)
GR00T = {
    "form": "gr00t",
    "state_keys": ["state:arm", "state:hand"],
    "state_sizes": [1, 1],
    "action_keys": ["action:arm", "action:hand"],
    "action_sizes": [1, 1],
}
FORMS: Mapping[str, Mapping[str, Any]] = {"gr00t": GR00T, "gr00t-n1.5": GR00T, "lowlat": {"form": "aloha"}}
UNSAID = {"action_width": 2, "horizon": 3, "image": {"eye": {"height": 4, "width": 6}}}
"""What GR00T's servers do not say of themselves."""


class Seeing:
    """A policy whose actions say what it saw."""

    spec = SPEC

    def infer(self, observation: Observation) -> np.ndarray:
        actions = np.zeros((3, 2))
        actions[:, 0] = observation.state @ [1.0, 10.0]
        actions[:, 1] = observation.images["eye"].mean() + len(observation.task)
        return actions


class Continuing(Seeing):
    """A policy that would make use of the delay and the plan, and keeps what it saw."""

    spec = dataclasses.replace(SPEC, accepts=("delay", "guidance"))

    def infer(self, observation: Observation) -> np.ndarray:
        self.seen = observation
        return super().infer(observation)


class Stepping(Seeing):
    """A policy that makes as many steps as it is asked for, and keeps how many."""

    spec = dataclasses.replace(SPEC, accepts=("steps",), steps=5)

    def infer(self, observation: Observation) -> np.ndarray:
        self.made = observation.steps
        return super().infer(observation)


EXPECTED = np.tile([10.5, 4.0], (3, 1))


def serve(protocol: str, **options: Any) -> PolicyServer:
    form = build(RemoteConfig, FORMS[protocol]).request_form({"eye": ""})
    return make_server(
        protocol, PolicyResponder(Seeing(), form), **{"host": "127.0.0.1", "port": 0, **options}
    )


def ask(
    address: str, remote: Mapping[str, Any], observation: Observation = OBSERVATION, steps: int = 0
) -> np.ndarray:
    """Return the actions that the policy node would get."""
    values = {"address": address, **remote}
    parameters = {"kind": "remote", "remote": values, "action_kind": "absolute", "action_period_ms": 20.0}
    parameters["steps"] = steps
    policy = load_policy(build(PolicyConfig, parameters), connect)
    try:
        return policy.infer(observation)
    finally:
        policy.close()  # type: ignore[attr-defined]


def client_of(server: str) -> Mapping[str, Any]:
    """Return the parameters of a client of a server of ours; only those of lowlat say the rest themselves."""
    if server == "lowlat":
        return {"protocol": "lowlat", **FORMS[server]}
    return {"protocol": "gr00t", **FORMS[server], **UNSAID}


@pytest.fixture
def started() -> Iterator[Callable[[PolicyServer], str]]:
    """Serve in a thread until the test ends; gives the address."""
    running: list[tuple[PolicyServer, threading.Thread]] = []

    def start(server: PolicyServer) -> str:
        thread = threading.Thread(target=server.serve)
        thread.start()
        running.append((server, thread))
        return server.address

    yield start
    for server, thread in running:
        server.close()
        thread.join(30.0)
        assert not thread.is_alive()


Start = Callable[[PolicyServer], str]


@pytest.mark.parametrize("protocol", FORMS)
def test_actions_come_from_the_policy_behind_the_server(protocol: str, started: Start) -> None:
    assert np.array_equal(ask(started(serve(protocol)), client_of(protocol)), EXPECTED)


@pytest.mark.parametrize("protocol", FORMS)
def test_the_plan_and_the_delay_come_along_in_our_protocol_only(protocol: str, started: Start) -> None:
    policy = Continuing()
    form = build(RemoteConfig, FORMS[protocol]).request_form({"eye": ""})
    address = started(make_server(protocol, PolicyResponder(policy, form), host="127.0.0.1", port=0))
    decided = np.array([[0.1, 0.2], [0.3, 0.4]])
    observation = dataclasses.replace(OBSERVATION, delay_rows=1.75, decided=decided, committed=1)
    ask(address, client_of(protocol), observation)
    if protocol == "lowlat":
        assert (policy.seen.delay_rows, policy.seen.committed) == (1.75, 1)
        assert policy.seen.decided is not None
        assert np.array_equal(policy.seen.decided, decided)
    else:
        assert (policy.seen.delay_rows, policy.seen.decided, policy.seen.committed) == (0.0, None, 0)


@pytest.mark.parametrize("protocol", FORMS)
def test_a_unix_socket_serves_as_well(protocol: str, started: Start, tmp_path: Path) -> None:
    address = started(serve(protocol, path=str(tmp_path / "policy")))
    assert address == f"ipc://{tmp_path}/policy"
    assert np.array_equal(ask(address, client_of(protocol)), EXPECTED)


def test_keys_in_files_let_a_client_in_from_anywhere(started: Start, tmp_path: Path) -> None:
    for name in ("server", "robot"):
        _, secret = zmq.auth.create_certificates(tmp_path, name)
        Path(secret).chmod(0o600)
    address = started(
        serve(
            "lowlat",
            host="0.0.0.0",  # noqa: S104, with keys
            key_file=str(tmp_path / "server.key_secret"),
            allow=[str(tmp_path / "robot.key")],
        )
    )
    port = address.rpartition(":")[2]
    keys = {"key_file": str(tmp_path / "robot.key_secret"), "server_key_file": str(tmp_path / "server.key")}
    assert np.array_equal(ask(f"tcp://127.0.0.1:{port}", {**client_of("lowlat"), **keys}), EXPECTED)


@pytest.mark.parametrize("with_keys", [False, True])
def test_a_client_that_keeps_asking_for_too_much_gets_less_and_then_nothing(
    started: Start, tmp_path: Path, with_keys: bool
) -> None:
    served, asked, name = {}, {}, "127.0.0.1"
    if with_keys:
        for owner in ("server", "robot"):
            _, secret = zmq.auth.create_certificates(tmp_path, owner)
            Path(secret).chmod(0o600)
        served = {"key_file": str(tmp_path / "server.key_secret"), "allow": [str(tmp_path / "robot.key")]}
        asked = {
            "key_file": str(tmp_path / "robot.key_secret"),
            "server_key_file": str(tmp_path / "server.key"),
        }
        name = zmq.auth.load_certificate(tmp_path / "robot.key")[0].decode()
    policy, form = Stepping(), build(RemoteConfig, FORMS["lowlat"]).request_form({"eye": ""})
    guard = Guard(GuardSettings(most=12.0), most=1000.0, free=5.0)
    address = started(
        make_server("lowlat", PolicyResponder(policy, form, guard), host="127.0.0.1", port=0, **served)
    )
    client = {**client_of("lowlat"), **asked}
    for steps, made in ((0, 5), (8, 8), *[(80, 12)] * 5):
        assert np.array_equal(ask(address, client, steps=steps), EXPECTED)
        assert policy.made == made
    with pytest.raises(RequestError, match="asked for far more steps than is usual"):
        ask(address, client, steps=80)
    state = guard.state()
    assert (state.calls, state.cuts, state.refused, state.open) == (7, 5, 1, (name,))


@pytest.mark.parametrize(
    ("protocol", "options", "words"),
    [
        ("gr00t", {"host": "0.0.0.0"}, "--insecure-bind and --token-file"),  # noqa: S104
        ("gr00t", {"host": "0.0.0.0", "insecure_bind": True}, "--insecure-bind and --token-file"),  # noqa: S104
        ("gr00t", {"key_file": "k"}, "no keys"),
        ("lowlat", {"host": "0.0.0.0"}, "--key, --allow"),  # noqa: S104
        ("lowlat", {"host": "0.0.0.0", "insecure_bind": True}, "--key, --allow"),  # noqa: S104
        ("lowlat", {"token": "t"}, "keys instead of a token"),
        ("lowlat", {"allow": ["robot.key"]}, "key file beside"),
        ("openpi", {"path": "socket"}, "no Unix sockets"),
    ],
)
def test_what_a_protocol_does_not_have_is_refused(protocol: str, options: dict[str, Any], words: str) -> None:
    responder = PolicyResponder(Seeing(), build(RemoteConfig, GR00T).request_form({"eye": ""}))
    with pytest.raises(ConfigurationError, match=words):
        make_server(protocol, responder, **{"host": "127.0.0.1", "port": 0, **options})


@pytest.mark.parametrize(
    ("protocol", "keys", "words"),
    [
        ("gr00t", {"key_file": "a", "server_key_file": "b"}, "gr00t has no keys"),
        ("lowlat", {"key_file": "a"}, "both"),
        ("lowlat", {"server_key_file": "b"}, "both"),
        ("lowlat", {"key_file": "/missing", "server_key_file": "/missing"}, "cannot be read"),
        ("lowlat", {"token": "t"}, "keys instead of a token"),
    ],
)
def test_keys_that_do_not_fit_a_protocol_are_refused(protocol: str, keys: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        connect(protocol, "tcp://127.0.0.1:1", **keys)


def columns(actions: np.ndarray) -> dict[str, Any]:
    return {"action": {"arm": actions[..., :1], "hand": actions[..., 1:]}}


def foreign(protocol: str) -> Mapping[str, Any]:
    """Return the parameters of a client of a server that names things as GR00T's do, and says nothing."""
    return {"protocol": protocol, **GR00T, **UNSAID}


BAD = {
    "NaN": np.full((1, 3, 2), np.nan, np.float32),
    "infinity": np.full((1, 3, 2), np.inf, np.float32),
    "too few rows": np.zeros((1, 2, 2), np.float32),
    "too many columns": np.zeros((1, 3, 5), np.float32),
    "another batch": np.zeros((2, 3, 2), np.float32),
    "one axis": np.zeros(6, np.float32),
    "booleans": np.zeros((1, 3, 2), bool),
}


@pytest.mark.parametrize("protocol", ["gr00t", "lowlat"])
@pytest.mark.parametrize("bad", BAD)
def test_actions_that_no_robot_should_follow_are_refused(protocol: str, bad: str) -> None:
    server = Scripted(protocol, lambda frames: [envelope(protocol, frames, columns(BAD[bad]))])
    with server.running(), pytest.raises(AnswerRefused):
        ask(server.address, foreign(protocol))


@pytest.mark.parametrize("protocol", ["gr00t", "lowlat"])
@pytest.mark.parametrize("actions", ["text", None, [[0.0, 0.0]] * 3, {}], ids=str)
def test_actions_that_are_no_arrays_are_refused(protocol: str, actions: Any) -> None:
    body = {"action": {"arm": actions, "hand": actions}}
    server = Scripted(protocol, lambda frames: [envelope(protocol, frames, body)])
    with server.running(), pytest.raises(AnswerRefused):
        ask(server.address, foreign(protocol))


@pytest.mark.parametrize("protocol", ["gr00t", "lowlat"])
def test_a_server_that_says_nothing_of_itself_is_asked_by_parameters(protocol: str) -> None:
    actions = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    server = Scripted(protocol, lambda frames: [envelope(protocol, frames, columns(actions))])
    with server.running():
        assert np.array_equal(ask(server.address, foreign(protocol)), actions[0, :3])


@pytest.mark.parametrize("protocol", ["gr00t", "lowlat"])
def test_a_server_that_never_answers_costs_a_late_inference(protocol: str) -> None:
    server = Scripted(protocol, lambda frames: [])
    with server.running(), pytest.raises(RequestLate):
        ask(server.address, {**foreign(protocol), "first_timeout_ms": 30.0})


@pytest.mark.parametrize("protocol", FORMS)
def test_the_command_serves_the_shipped_policy(protocol: str, tmp_path: Path) -> None:
    spec = load_policy(PolicyConfig()).spec
    joints, numbers = len(spec.delta), len(spec.state_fields) * len(spec.delta)
    form = dict(FORMS[protocol])
    if protocol != "lowlat":
        form |= {"state_keys": ["state:arm"], "state_sizes": [numbers]}
        form |= {"action_keys": ["action:arm"], "action_sizes": [joints]}
    given = []
    for name, value in form.items():
        text = f"[{','.join(map(str, value))}]" if isinstance(value, list) else value
        given += ["-p", f"policy.remote.{name}:={text}"]
    socket = str(tmp_path / "policy")
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "serve", "policy", "--protocol", protocol]
    child = subprocess.Popen([*command, "--socket", socket, *given], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert f"ipc://{socket}" in child.stdout.readline()
        remote = {**client_of(protocol), **form}
        if protocol != "lowlat":
            remote |= {
                "action_width": joints,
                "horizon": spec.horizon,
                "state_fields": list(spec.state_fields),
            }
            remote["image"] = {
                name: {"height": size.height, "width": size.width} for name, size in spec.images.items()
            }
        actions = ask(f"ipc://{socket}", remote, blank_observation(spec))
        assert actions.shape == (spec.horizon, joints)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30.0) == 0
        assert "answered" in child.stdout.read()
    finally:
        child.kill()
        child.communicate()
