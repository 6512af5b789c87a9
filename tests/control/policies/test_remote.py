# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies in servers: what they must say, what is taken from them, and what is refused."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec, blank_observation
from lowlat_nodes.control.policies.remote import RemoteConfig, RemotePolicy
from lowlat_nodes.control.policies.request_form import REQUEST_NUMBER
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, RequestError, RequestLate, RequestRefused, ServerGone

MS = 1_000_000
SPEC = PolicySpec(
    ("a", "b"), ("position", "velocity"), {"eye": ImageSpec(4, 6)}, True, 5, 20 * MS, (False, True)
)

SAID = {"lowlat": {"spec": SPEC.to_plain(), "keys": [REQUEST_NUMBER]}}
FOREIGN = {"horizon": 5, "action_width": 2, "image": {"eye": {"height": 4, "width": 6}}}


class Counting:
    """A policy whose actions say what it saw."""

    spec = SPEC

    def infer(self, observation: Observation) -> np.ndarray:
        actions = np.zeros((5, 2))
        actions[:, 0] = observation.request + np.arange(5.0)
        actions[:, 1] = observation.state.sum() + observation.images["eye"].sum() + len(observation.task)
        return actions


class Scripted:
    """A server that is called directly, and answers with what `answer` makes of a request."""

    def __init__(
        self,
        answer: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {},
        says: Mapping[str, Any] | None = None,
    ) -> None:
        self.answer = answer
        self.says = says or {}
        self.requests: list[Mapping[str, Any]] = []
        self.deadlines_ns: list[int] = []
        self.absent = 0  # times
        self.closed = False

    def describe(self) -> Mapping[str, Any]:
        if self.absent:
            self.absent -= 1
            raise ServerGone("nobody there")
        return self.says

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> Mapping[str, Any]:
        self.requests.append(observation)
        self.deadlines_ns.append(deadline_ns - time.monotonic_ns())
        return self.answer(observation)

    def close(self) -> None:
        self.closed = True


def directly(responder: PolicyResponder) -> Scripted:
    return Scripted(responder.respond, responder.describe())


def remote(server: Scripted, period_ms: float = 20.0, kind: str = "absolute", **values: Any) -> RemotePolicy:
    config = build(RemoteConfig, values)
    return RemotePolicy(server, config, action_period_ns=round(period_ms * MS), action_kind=kind)


def foreign(actions: Any, **values: Any) -> tuple[RemotePolicy, Scripted]:
    """Return a policy in a server that says nothing of itself."""
    server = Scripted(lambda _: {"actions": actions})
    return remote(server, **(FOREIGN | values)), server


def seen(request: int = 0) -> Observation:
    return dataclasses.replace(blank_observation(SPEC, "go"), request=request)


@pytest.mark.parametrize("form", ["libero", "aloha", "droid", "gr00t"])
def test_a_served_policy_is_the_same_policy(form: str) -> None:
    values: dict[str, Any] = {"form": form}
    if form == "droid":
        values |= {"state_sizes": [1, 3]}
    if form == "gr00t":
        values |= {"state_keys": ["state:all"], "action_keys": ["action:all"]}
    responder = PolicyResponder(Counting(), build(RemoteConfig, values).request_form(SPEC.images))
    policy = remote(directly(responder), 0.0, "", **values)
    assert policy.spec == SPEC
    for request in (7, 8):
        assert np.array_equal(policy.infer(seen(request)), Counting().infer(seen(request)))


def test_requests_without_a_number_are_counted() -> None:
    responder = PolicyResponder(Counting(), RemoteConfig().request_form(SPEC.images))
    request = RemoteConfig().request_form(SPEC.images).write_request(seen())
    first = [responder.respond(request)["actions"][0, 0] for _ in range(3)]
    assert first == [0.0, 1.0, 2.0]
    responder.reset()
    answer = responder.respond(request)
    assert answer["actions"][0, 0] == 0.0
    assert REQUEST_NUMBER not in answer


def test_a_server_that_says_nothing_is_described_by_the_parameters() -> None:
    actions = np.arange(24.0).reshape(8, 3)
    policy, server = foreign(actions, action_width=3, action_columns=[2, 0], state_fields=["position"])
    assert policy.spec == PolicySpec(
        (), ("position",), {"eye": ImageSpec(4, 6)}, True, 5, 20 * MS, (False, False)
    )
    found = policy.infer(blank_observation(policy.spec, "go"))
    assert np.array_equal(found, actions[:5, [2, 0]])
    assert found.dtype == np.float64
    assert REQUEST_NUMBER not in server.requests[0]
    assert server.requests[0]["prompt"] == "go"


def test_each_joint_has_its_kind_of_action() -> None:
    policy, _ = foreign(np.zeros((5, 2)), kind="", delta=[True, False])
    assert policy.spec.delta == (True, False)
    policy, _ = foreign(np.zeros((5, 2)), kind="delta")
    assert policy.spec.delta == (True, True)


def test_the_first_answer_may_take_longer() -> None:
    policy, server = foreign(np.zeros((5, 2)), timeout_ms=2000.0, first_timeout_ms=100_000.0)
    late = server.answer

    def answer(_request: Any) -> Any:
        raise RequestLate("no")

    server.answer = answer
    with pytest.raises(RequestLate):
        policy.infer(seen())
    server.answer = late
    policy.infer(seen())
    policy.infer(seen())
    first, second, third = server.deadlines_ns
    assert first > 50_000 * MS
    assert second > 50_000 * MS
    assert third <= 2000 * MS


@pytest.mark.parametrize(
    ("actions", "why"),
    [
        (np.full((5, 2), np.nan), "NaN or infinity"),
        (np.full((5, 2), -np.inf), "NaN or infinity"),
        (np.zeros((4, 2)), "at least 5 rows of 2 actions, got 4 of 2"),
        (np.zeros((5, 3)), "got 5 of 3"),
        (np.zeros((0, 2)), "got 0 of 2"),
        (np.zeros(10), "expected shape"),
        (np.zeros((1, 5, 2)), "expected shape"),
        (np.array([["a"]]), "array of numbers"),
        ("text", "array of numbers"),
        (None, "array of numbers"),
    ],
)
def test_actions_that_do_not_fit_are_refused(actions: Any, why: str) -> None:
    policy, _ = foreign(actions)
    with pytest.raises(AnswerRefused, match=why):
        policy.infer(seen())


def test_columns_that_are_not_used_may_hold_anything() -> None:
    policy, _ = foreign(np.array([[1.0, np.nan]] * 7), action_columns=[0])
    assert policy.infer(blank_observation(policy.spec)).tolist() == [[1.0]] * 5


def test_a_server_that_comes_back_with_another_policy_is_refused() -> None:
    form = RemoteConfig().request_form(SPEC.images)
    server = directly(PolicyResponder(Counting(), form))
    policy = remote(server, 0.0, "")
    policy.infer(seen())
    other = Counting()
    other.spec = dataclasses.replace(SPEC, delta=(False, False))
    server.answer = PolicyResponder(other, form).respond
    with pytest.raises(AnswerRefused, match="another policy"):
        policy.infer(seen())
    server.answer = PolicyResponder(Counting(), form).respond
    policy.infer(seen())


@pytest.mark.parametrize("number", [6, None, "7", True])
def test_the_answer_to_another_request_is_refused(number: Any) -> None:
    server = Scripted(lambda _: {"actions": np.zeros((5, 2)), REQUEST_NUMBER: number}, SAID)
    with pytest.raises(AnswerRefused, match="expected the answer to request 7"):
        remote(server, 0.0, "").infer(seen(7))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"horizon": 0}, "policy.remote.horizon: expected a number of rows"),
        ({"action_width": 0}, "policy.remote.action_width must be given"),
        ({"period_ms": 0.0}, "policy.action_period_ms .* must be given"),
        ({"kind": ""}, "policy.remote.delta or policy.action_kind must be given"),
        ({"image": {"eye": {"width": 6}}}, "policy.remote.image.eye.height must be given"),
        ({"action_columns": [0, 2]}, "action_columns: expected some of the server's 2"),
        ({"delta": [True]}, "expected 2 values"),
        ({"form": "droid"}, "policy.remote.state_sizes: position of 2 joints make 2 numbers"),
        ({"form": "gr00t"}, "state_keys"),
    ],
)
def test_what_a_silent_server_does_not_say_must_be_given(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        foreign(None, **values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"horizon": 6}, "expected at most 5, got 6"),
        ({"action_width": 3}, "the server says 2, got 3"),
        ({"period_ms": 30.0}, "the server says 20000000, got 30000000"),
        ({"kind": "delta"}, r"the server says \(False, True\)"),
        ({"image": {"nose": {"height": 4}}}, r"the server takes images \['eye'\], got \['nose'\]"),
        ({"image": {"eye": {"width": 9}}}, "the server says 6, got 9"),
        ({"action_columns": [1, 0]}, "expected all of the server's 2"),
    ],
)
def test_parameters_must_not_contradict_the_server(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        remote(Scripted(says=SAID), **({"period_ms": 0.0, "kind": ""} | values))


def test_parameters_may_agree_with_the_server_and_take_fewer_rows() -> None:
    server = Scripted(lambda _: {"actions": np.ones((5, 2)), REQUEST_NUMBER: 0}, SAID)
    policy = remote(server, 20.0, "", horizon=3, action_width=2, delta=[False, True])
    assert policy.spec == dataclasses.replace(SPEC, horizon=3)
    assert policy.infer(seen()).shape == (3, 2)


@pytest.mark.parametrize(
    "says",
    [
        {"lowlat": 3},
        {"lowlat": {}},
        {"lowlat": {"spec": {}, "keys": 3}},
        {"lowlat": {"spec": {}, "keys": []}},
        {"lowlat": {"spec": 3, "keys": []}},
        *(
            {"lowlat": {"spec": SPEC.to_plain() | wrong, "keys": []}}
            for wrong in (
                {"horizon": -1},
                {"horizon": 1.5},
                {"horizon": True},
                {"horizon": 1 << 70},
                {"delta": []},
                {"delta": [1, 2]},
                {"joints": ["a"]},
                {"joints": "ab"},
                {"images": []},
                {"images": {"eye": [4]}},
                {"images": {"eye": [10**6, 10**6]}},
                {"takes_task": None},
                {"action_period_ns": 0},
            )
        ),
    ],
)
def test_nonsense_of_the_server_about_itself_is_refused(says: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        remote(Scripted(says=says), 0.0, "")


def test_a_server_may_come_up_later() -> None:
    server = Scripted(says=SAID)
    server.absent = 2
    assert remote(server, 0.0, "").spec == SPEC
    server.absent = 10**9
    with pytest.raises(ServerGone):
        remote(server, 0.0, "", wait_ms=1.0)


def test_parameters_name_the_server() -> None:
    asked: list[tuple[str, str, dict[str, str]]] = []
    server = Scripted(says=SAID)

    def connect(protocol: str, address: str, **options: str) -> Scripted:
        asked.append((protocol, address, options))
        return server

    keys = {"key_file": "robot.key_secret", "server_key_file": "server.key"}
    values = {
        "kind": "remote",
        "remote.protocol": "lowlat",
        "remote.address": "tcp://robot:1",
        "remote": keys,
    }
    assert load_policy(build(PolicyConfig, values), connect).spec == SPEC
    assert asked == [("lowlat", "tcp://robot:1", {"token": "", **keys})]
    server.absent = 10**9
    with pytest.raises(ConfigurationError, match=r"policy\.remote: nobody there"):
        load_policy(build(PolicyConfig, values | {"remote.wait_ms": 0.0}), connect)
    assert server.closed


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "policy.remote.address must be given"),
        ({"remote.address": "x", "timeout_ms": 500.0}, "expected less than policy.timeout_ms, 500 ms"),
        ({"remote.address": "x", "remote.form": "pi0"}, "libero"),
    ],
)
def test_parameters_of_a_server_that_do_not_fit(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        build(PolicyConfig, {"kind": "remote"} | values)


def test_a_server_needs_a_connection() -> None:
    with pytest.raises(ConfigurationError, match="expected a policy of this process"):
        load_policy(PolicyConfig(kind="remote", remote=RemoteConfig(address="x")))


def test_a_form_that_does_not_fit_the_served_policy() -> None:
    for values, name in (
        ({"state_keys": ["a", "b"], "state_sizes": [1, 1]}, "state_sizes"),
        ({"action_keys": ["a", "b"], "action_sizes": [1, 2]}, "action_sizes"),
    ):
        with pytest.raises(ConfigurationError, match=name):
            PolicyResponder(Counting(), build(RemoteConfig, values).request_form(SPEC.images))


def test_a_request_that_does_not_fit_the_served_policy() -> None:
    responder = PolicyResponder(Counting(), RemoteConfig().request_form(SPEC.images))
    with pytest.raises(RequestRefused, match="observation/state"):
        responder.respond({})


def test_every_reason_is_a_word_for_a_counter() -> None:
    reasons = [kind.reason for kind in RequestError.__subclasses__()]
    assert sorted(reasons) == ["answer_refused", "late", "server_error", "server_gone"]


def test_a_server_checks_what_its_policy_gives() -> None:
    class Narrow(Counting):
        def infer(self, observation: Observation) -> np.ndarray:
            return super().infer(observation)[:, :1]

    policy = Narrow()
    responder = PolicyResponder(policy, RemoteConfig(address="x").request_form(SPEC.images))
    request = responder._form.write_request(blank_observation(SPEC))
    with pytest.raises(ValueError, match=r"expected float64 actions of shape \(5, 2\)"):
        responder.respond(request)
