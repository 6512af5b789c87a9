# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The delay and the plan in requests to servers: only where they are understood, and checked there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.control.policies.policy import Observation, PolicySpec, blank_observation
from lowlat_nodes.control.policies.remote import RemoteConfig, RemotePolicy
from lowlat_nodes.control.policies.request_conditions import COMMITTED, DECIDED, DELAY, STEPS, condition_keys
from lowlat_nodes.control.policies.request_form import REQUEST_NUMBER
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestRefused

SPEC = PolicySpec(("a", "b"), ("position",), {}, False, 5, 20_000_000, (False, True), ("delay", "prefix"))
ALL = (DELAY, DECIDED, COMMITTED)
DECIDED_ROWS = np.arange(6.0).reshape(3, 2) / 7.0
GR00T = {"form": "gr00t", "state_keys": ["state:all"], "action_keys": ["action:all"]}


class Remembering:
    """A policy that keeps what it saw."""

    def __init__(self, accepts: tuple[str, ...] = SPEC.accepts) -> None:
        self.spec = dataclasses.replace(SPEC, accepts=accepts)
        self.seen = Observation(np.empty(0, np.float32))

    def infer(self, observation: Observation) -> np.ndarray:
        self.seen = observation
        return np.zeros((5, 2))


class Server:
    """Calls a responder directly, and keeps the requests."""

    def __init__(self, responder: PolicyResponder, says: Mapping[str, Any] | None = None) -> None:
        self.responder = responder
        self.says = responder.describe() if says is None else says
        self.requests: list[Mapping[str, Any]] = []

    def describe(self) -> Mapping[str, Any]:
        return self.says

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> Mapping[str, Any]:  # noqa: ARG002
        self.requests.append(observation)
        return self.responder.respond(observation)

    def close(self) -> None:
        pass


def responder(policy: Remembering, **values: Any) -> PolicyResponder:
    return PolicyResponder(policy, build(RemoteConfig, values).request_form({}))


def continuing(**more: Any) -> Observation:
    plan = {"decided": DECIDED_ROWS, "committed": 2, **more}
    return dataclasses.replace(blank_observation(SPEC), delay_rows=2.25, **plan)


@pytest.mark.parametrize("form", ["libero", "aloha", "gr00t"])
def test_a_served_policy_sees_the_delay_and_the_plan(form: str) -> None:
    policy, values = Remembering(), GR00T if form == "gr00t" else {"form": form}
    remote = RemotePolicy(Server(responder(policy, **values)), build(RemoteConfig, values))
    assert remote.spec == policy.spec
    remote.infer(continuing())
    assert policy.seen.delay_rows == 2.25
    assert policy.seen.decided is not None
    assert np.array_equal(policy.seen.decided, DECIDED_ROWS)
    assert policy.seen.committed == 2
    remote.infer(continuing(decided=None))
    assert policy.seen.decided is None


@pytest.mark.parametrize(
    ("accepts", "sent"),
    [
        ((), set()),
        (("delay",), {DELAY}),
        (("guidance",), {DECIDED, COMMITTED}),
        (("delay", "prefix", "guidance"), set(ALL)),
    ],
)
def test_only_what_the_policy_accepts_is_told_and_sent(accepts: tuple[str, ...], sent: set[str]) -> None:
    server = Server(responder(Remembering(accepts)))
    assert set(server.says["lowlat"]["keys"]) == {REQUEST_NUMBER} | sent
    assert set(condition_keys(accepts)) == sent
    RemotePolicy(server, RemoteConfig()).infer(continuing())
    assert server.requests[0].keys() & set(ALL) == sent


@pytest.mark.parametrize(
    ("keys", "accepts"),
    [
        ([REQUEST_NUMBER], ()),
        ([DELAY, DECIDED], ("delay",)),
        ([COMMITTED, DECIDED, {}, 3], ("prefix",)),
    ],
)
def test_what_a_server_does_not_understand_is_not_accepted(keys: list[Any], accepts: tuple[str, ...]) -> None:
    says = {"lowlat": {"spec": SPEC.to_plain(), "keys": keys}}
    server = Server(responder(Remembering()), says)
    remote = RemotePolicy(server, RemoteConfig())
    assert remote.spec == dataclasses.replace(SPEC, accepts=accepts)
    if REQUEST_NUMBER not in keys:
        remote.infer(continuing())
        assert server.requests[0].keys() & set(ALL) == set(condition_keys(accepts))


def test_servers_of_other_projects_never_get_any_of_it() -> None:
    values = {**GR00T, "horizon": 5, "action_width": 2}
    server = Server(responder(Remembering(()), **values), says={"modality": {}})
    remote = RemotePolicy(
        server, build(RemoteConfig, values), action_period_ns=20_000_000, action_kind="delta"
    )
    assert remote.spec.accepts == ()
    remote.infer(continuing())
    assert server.requests[0].keys() == {"state", "language"}


def test_what_the_policy_does_not_accept_is_not_even_looked_at() -> None:
    policy = Remembering(())
    serving = responder(policy)
    request = RemoteConfig().request_form({}).write_request(continuing())
    serving.respond({**request, DELAY: "soon", DECIDED: "all", COMMITTED: -1})
    assert (policy.seen.delay_rows, policy.seen.decided, policy.seen.committed) == (0.0, None, 0)


NAN = np.full((3, 2), np.nan)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({DELAY: -0.5}, "lowlat/delay: expected a number from 0 to 1000000, got -0.5"),
        ({DELAY: float("nan")}, "lowlat/delay: expected"),
        ({DELAY: float("inf")}, "lowlat/delay: expected"),
        ({DELAY: 1 << 63}, "lowlat/delay: expected"),
        ({DELAY: True}, "lowlat/delay: expected"),
        ({DELAY: None}, "lowlat/delay: expected .* got None"),
        ({DELAY: "x" * 1000}, "lowlat/delay: expected .{1,140}$"),
        ({DELAY: np.zeros(1)}, r"lowlat/delay: expected .* float64 \[1\]"),
        ({DECIDED: None}, "lowlat/decided: expected float64 of at most 5 rows of 2, got None"),
        ({DECIDED: [[1.0, 2.0]]}, "lowlat/decided: expected"),
        ({DECIDED: np.zeros((6, 2))}, r"at most 5 rows of 2, got float64 \[6, 2\]"),
        ({DECIDED: np.zeros((3, 3))}, r"got float64 \[3, 3\]"),
        ({DECIDED: np.zeros(6)}, r"got float64 \[6\]"),
        ({DECIDED: np.zeros((3, 2), np.float32)}, "got float32"),
        ({DECIDED: np.zeros((3, 2), np.int64)}, "got int64"),
        ({DECIDED: NAN}, "lowlat/decided: expected numbers that are finite as float32"),
        ({DECIDED: np.full((3, 2), 1e300)}, "finite as float32"),
        ({COMMITTED: 4}, "lowlat/committed: expected a whole number from 0 to 3, got 4"),
        ({COMMITTED: -1}, "lowlat/committed: expected"),
        ({COMMITTED: 1.0}, "lowlat/committed: expected"),
        ({COMMITTED: True}, "lowlat/committed: expected"),
        ({COMMITTED: None}, "lowlat/committed: expected"),
        ({DECIDED: np.empty((0, 2)), COMMITTED: 1}, "a whole number from 0 to 0, got 1"),
    ],
)
def test_a_delay_or_plan_that_does_not_fit_is_refused(changes: dict[str, Any], why: str) -> None:
    server = Server(responder(Remembering()))
    RemotePolicy(server, RemoteConfig()).infer(continuing())
    with pytest.raises(RequestRefused, match=why):
        server.responder.respond({**server.requests[0], **changes})


@pytest.mark.parametrize(("left_out", "missing"), [(DECIDED, DECIDED), (COMMITTED, COMMITTED)])
def test_a_plan_and_its_committed_rows_come_together(left_out: str, missing: str) -> None:
    server = Server(responder(Remembering()))
    RemotePolicy(server, RemoteConfig()).infer(continuing())
    request = {key: value for key, value in server.requests[0].items() if key != left_out}
    with pytest.raises(RequestRefused, match=f"{missing}: expected .* got None"):
        server.responder.respond(request)


STEPPED = dataclasses.replace(SPEC, accepts=("steps",), steps=5)


class Few:
    """A bound that keeps what it was told."""

    def __init__(self, **limits: float) -> None:
        self.limits = limits
        self.calls: list[tuple[str, float, bool]] = []

    def limit(self, source: str, bucket: str = "") -> float:  # noqa: ARG002 (the interface)
        return self.limits[source]

    def note(self, cost: float, *, cut: bool, source: str, bucket: str = "") -> None:  # noqa: ARG002
        self.calls.append((source, cost, cut))


def stepped() -> Remembering:
    policy = Remembering(())
    policy.spec = STEPPED
    return policy


@pytest.mark.parametrize(("configured", "asked", "seen"), [(0, 0, 5), (3, 0, 3), (3, 8, 8)])
def test_a_served_policy_makes_as_many_steps_as_it_is_asked_for(
    configured: int, asked: int, seen: int
) -> None:
    policy = stepped()
    remote = RemotePolicy(Server(responder(policy)), RemoteConfig(), steps=configured)
    assert remote.spec == STEPPED
    remote.infer(dataclasses.replace(blank_observation(SPEC), steps=asked))
    assert policy.seen.steps == seen


def test_who_asks_for_too_many_steps_gets_fewer_and_is_told() -> None:
    policy, bound = stepped(), Few(modest=100.0, greedy=12.9, banned=0.0)
    serving = PolicyResponder(policy, RemoteConfig().request_form({}), bound)
    request = RemoteConfig().request_form({}).write_request(blank_observation(SPEC))
    assert serving.respond({**request, STEPS: 40}, "modest")[STEPS] == 40
    assert serving.respond({**request, STEPS: 40}, "greedy")[STEPS] == 12
    assert policy.seen.steps == 12
    assert STEPS not in serving.respond(request, "greedy")
    assert policy.seen.steps == 5
    with pytest.raises(RequestRefused, match="too many requests of banned asked for far more steps"):
        serving.respond({**request, STEPS: 40}, "banned")
    assert bound.calls == [("modest", 40, False), ("greedy", 40, True), ("greedy", 5, False)]


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.0, True, "8", None])
def test_steps_that_make_no_sense_are_refused(steps: Any) -> None:
    serving = responder(stepped())
    request = RemoteConfig().request_form({}).write_request(blank_observation(SPEC))
    with pytest.raises(RequestRefused, match="lowlat/steps: expected a whole number from 1 to 1000"):
        serving.respond({**request, STEPS: steps})


def test_a_server_without_a_choice_of_steps_is_not_configured_with_one() -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.steps: the server does not let one choose"):
        RemotePolicy(Server(responder(Remembering())), RemoteConfig(), steps=3)


@pytest.mark.parametrize(("accepts", "steps"), [(["steps"], 0), (["steps"], 1001), ([], 4)])
def test_a_specification_with_impossible_steps_is_refused(accepts: list[str], steps: int) -> None:
    with pytest.raises(ConfigurationError, match="expected 1 to 1000 steps"):
        PolicySpec.from_plain({**SPEC.to_plain(), "accepts": accepts, "steps": steps})
