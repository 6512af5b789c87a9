# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The transitions of a lifecycle node, and what it says when one fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.parameter import Parameter

from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.stream.errors import ConfigurationError

pytestmark = pytest.mark.ros


@dataclass(frozen=True, kw_only=True)
class Settings(NodeSettings):
    """Nothing beyond what every node has."""


class Recorder(LifecycleHost[Settings]):
    """Notes what is called, and raises where it is told to."""

    def __init__(self, **ros: Any) -> None:
        self.calls: list[str] = []
        self.broken: dict[str, Exception] = {}
        period = Parameter("diagnostic_updater.period", value=0.05)
        super().__init__("recorder", Settings, task="test", overrides=[period], **ros)

    def setup(self, config: Settings) -> None:
        assert isinstance(config, Settings)
        self._note("setup")

    def begin(self) -> None:
        self._note("begin")

    def halt(self) -> None:
        self._note("halt")

    def teardown(self) -> None:
        self._note("teardown")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.broken:
            raise self.broken[call]


@pytest.fixture
def recorder(robot: Any) -> Recorder:
    node: Recorder = robot.add(Recorder())
    return node


def change(robot: Any, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(robot.call(ChangeState, "/recorder/change_state", request).success)


def state(robot: Any) -> int:
    return int(robot.call(GetState, "/recorder/get_state", GetState.Request()).current_state.id)


def status(robot: Any, level: Level) -> Any:
    """Return the next status of this level."""
    messages = robot.listen(DiagnosticArray, "/diagnostics")

    def matching() -> list[Any]:
        return [item.status[0] for item in messages if item.status[0].level == bytes([level])]

    robot.spin_until(matching)
    return matching()[0]


def test_a_lifecycle_manager_takes_the_node_through_its_states(robot: Any, recorder: Recorder) -> None:
    for transition, called, after in (
        (Transition.TRANSITION_CONFIGURE, "setup", State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, "begin", State.PRIMARY_STATE_ACTIVE),
        (Transition.TRANSITION_DEACTIVATE, "halt", State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, "begin", State.PRIMARY_STATE_ACTIVE),
        (Transition.TRANSITION_DEACTIVATE, "halt", State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_CLEANUP, "teardown", State.PRIMARY_STATE_UNCONFIGURED),
        (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, None, State.PRIMARY_STATE_FINALIZED),
    ):
        recorder.calls.clear()
        assert change(robot, transition)
        assert state(robot) == after
        assert recorder.calls == ([called] if called else [])


def test_shutdown_while_active_halts_and_tears_down(robot: Any, recorder: Recorder) -> None:
    assert recorder.start()
    recorder.calls.clear()
    assert change(robot, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert recorder.calls == ["halt", "teardown"]
    assert recorder.state == "finalized"


@pytest.mark.parametrize(
    ("broken", "calls", "after"),
    [
        ("setup", ["setup", "teardown"], "unconfigured"),
        ("begin", ["setup", "begin", "halt"], "inactive"),
    ],
)
def test_a_transition_that_fails_leaves_the_node_where_it_was_and_is_reported(
    robot: Any, recorder: Recorder, broken: str, calls: list[str], after: str
) -> None:
    recorder.broken[broken] = ConfigurationError("expected a robot, got a toaster")
    assert not recorder.start()
    assert recorder.calls == calls
    assert recorder.state == after
    assert "expected a robot, got a toaster" in recorder.problem
    reported = status(robot, Level.ERROR)
    assert reported.name == "recorder: test"
    assert reported.message == recorder.problem
    values = {item.key: item.value for item in reported.values}
    assert values["state"] == after
    assert values["last_failure"] == recorder.problem
    recorder.broken.clear()
    step = recorder.start if after == "unconfigured" else recorder.trigger_activate
    step()
    assert recorder.state == "active"
    assert recorder.problem == ""
    assert status(robot, Level.OK).message == "active"


def test_an_error_that_is_not_ours_is_named_by_its_type(recorder: Recorder) -> None:
    recorder.broken["setup"] = ZeroDivisionError("by zero")
    assert not recorder.start()
    assert recorder.problem == "cannot configure: ZeroDivisionError: by zero"


def test_a_halt_that_fails_tears_the_node_down(robot: Any, recorder: Recorder) -> None:
    assert recorder.start()
    recorder.broken["halt"] = RuntimeError("stuck")
    assert not change(robot, Transition.TRANSITION_DEACTIVATE)
    assert recorder.calls == ["setup", "begin", "halt", "teardown"]
    assert recorder.state == "unconfigured"
    assert state(robot) == State.PRIMARY_STATE_UNCONFIGURED
    recorder.broken.clear()
    assert recorder.start()


def test_a_teardown_that_fails_keeps_no_node_alive(robot: Any, recorder: Recorder) -> None:
    assert recorder.start()
    recorder.broken["teardown"] = RuntimeError("stuck")
    recorder.trigger_deactivate()
    assert change(robot, Transition.TRANSITION_CLEANUP)
    assert recorder.state == "unconfigured"
    assert "stuck" in recorder.problem


def test_destroying_an_active_node_halts_and_tears_down(robot: Any) -> None:
    node = Recorder()
    assert node.start()
    node.destroy_node()
    assert node.calls == ["setup", "begin", "halt", "teardown"]


def test_destroying_a_node_whose_context_is_gone_halts_and_tears_down(ros_domain_id: int) -> None:
    context = Context()
    context.init(args=[], domain_id=ros_domain_id)
    node = Recorder(context=context)
    assert node.start()
    context.shutdown()
    node.destroy_node()
    assert node.calls == ["setup", "begin", "halt", "teardown"]
    assert node.state == "finalized"


def test_an_idle_node_reports_the_standard_keys(robot: Any, recorder: Recorder) -> None:
    values = {item.key: item.value for item in status(robot, Level.OK).values}
    assert values == {
        "rate_in_hz": "0",
        "rate_out_hz": "0",
        "age_p50_ms": "nan",
        "age_p99_ms": "nan",
        "latency_p50_ms": "nan",
        "latency_p99_ms": "nan",
        "drops": "0",
        "failures": "0",
        "state": "unconfigured",
        "last_failure": "",
        "node": "/recorder",
    }
