# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings as ROS parameters: how they are described, what is refused, what may change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from amplifier_node import AmplifierNode
from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rcl_interfaces.srv import DescribeParameters
from rclpy.parameter import Parameter

from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.stream.config import setting

pytestmark = pytest.mark.ros


def given(**values: Any) -> list[Parameter]:
    return [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]


def amplifier(robot: Any, *, cli_args: list[str] | None = None, **values: Any) -> AmplifierNode:
    node: AmplifierNode = robot.add(AmplifierNode(overrides=given(**values), cli_args=cli_args))
    return node


def set_from_outside(node: AmplifierNode, **values: Any) -> tuple[bool, str]:
    result = node.set_parameters_atomically(given(**values))
    return result.successful, result.reason


def describe(robot: Any, name: str) -> ParameterDescriptor:
    request = DescribeParameters.Request(names=[name])
    return robot.call(DescribeParameters, "/amplifier/describe_parameters", request).descriptors[0]


def test_every_setting_is_declared_with_its_default(robot: Any) -> None:
    node = amplifier(robot)
    values = {name: parameter.value for name, parameter in node.get_parameters_by_prefix("").items()}
    expected = {
        "autostart": True,
        "diagnostic_updater.period": 1.0,
        "diagnostic_updater.use_fqn": False,
        "gain": 2.0,
        "taps": 1,
        "mode": "linear",
        "names": [],
        "words": [],
        "model": "good",
        "limits.low": -100.0,
        "limits.high": 100.0,
    }
    assert {name: values.get(name) for name in expected} == expected


@dataclass(frozen=True, kw_only=True)
class StrictSettings(NodeSettings):
    model: str = setting(doc="What to load.")


def test_one_that_must_be_given_is_refused_at_configure_by_its_name(robot: Any) -> None:
    node = robot.add(LifecycleHost("strict", StrictSettings))
    assert not node.start()
    assert node.state == "unconfigured"
    assert "parameter 'model' must be given" in node.problem
    given_one = robot.add(LifecycleHost("content", StrictSettings, overrides=given(model="small")))
    assert given_one.start()


def test_a_descriptor_says_what_unit_range_and_kind(robot: Any) -> None:
    amplifier(robot)
    gain = describe(robot, "gain")
    assert gain.description == "Factor. [V/V]"
    assert gain.additional_constraints == "float from 0 to 10 V/V"
    assert (gain.floating_point_range[0].from_value, gain.floating_point_range[0].to_value) == (0.0, 10.0)
    assert not gain.read_only
    taps = describe(robot, "taps")
    assert (taps.integer_range[0].from_value, taps.integer_range[0].to_value) == (1, 4)
    assert taps.read_only
    assert describe(robot, "mode").additional_constraints == "str, one of: linear, clipped"
    assert describe(robot, "names").type == ParameterType.PARAMETER_STRING_ARRAY


def test_values_come_from_a_parameter_file(robot: Any, tmp_path: Path) -> None:
    path = tmp_path / "amplifier.yaml"
    path.write_text(
        "amplifier:\n  ros__parameters:\n    gain: 3\n    names: [a, b]\n    limits: {low: -1.5}\n",
        encoding="utf-8",
    )
    node = amplifier(robot, cli_args=["--ros-args", "--params-file", str(path)])
    assert node.start(), node.problem
    config = node.amplifiers[-1].config
    assert (config.gain, config.names, config.limits.low) == (3.0, ("a", "b"), -1.5)
    assert node.get_parameter("gain").value == 3.0
    assert describe(robot, "gain").type == ParameterType.PARAMETER_DOUBLE


def test_an_empty_array_in_a_parameter_file_is_one_of_its_setting(robot: Any, tmp_path: Path) -> None:
    path = tmp_path / "amplifier.yaml"
    path.write_text("amplifier:\n  ros__parameters:\n    names: []\n", encoding="utf-8")
    node = amplifier(robot, cli_args=["--ros-args", "--params-file", str(path)])
    assert node.start(), node.problem
    assert node.amplifiers[-1].config.names == ()
    assert describe(robot, "names").type == ParameterType.PARAMETER_STRING_ARRAY


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gain: []", "parameter 'gain': expected float from 0 to 10 V/V, got None"),
        ("gian: []", "there is no parameter 'gian'; did you mean 'gain'?"),
    ],
)
def test_an_empty_array_in_the_wrong_place_is_refused_by_name(
    robot: Any, tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "amplifier.yaml"
    path.write_text(f"amplifier:\n  ros__parameters:\n    {text}\n", encoding="utf-8")
    node = amplifier(robot, cli_args=["--ros-args", "--params-file", str(path)])
    assert not node.start()
    assert reason in node.problem


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"gian": 3.0}, "there is no parameter 'gian'; did you mean 'gain'?"),
        ({"limits__hgih": 3.0}, "there is no parameter 'limits.hgih'; did you mean 'limits.high'?"),
        ({"autostrat": True}, "there is no parameter 'autostrat'; did you mean 'autostart'?"),
        ({"gain": 30.0}, "parameter 'gain': expected float from 0 to 10 V/V, got 30.0"),
        ({"gain": "loud"}, "parameter 'gain': expected float from 0 to 10 V/V, got 'loud'"),
        ({"taps": 1.5}, "parameter 'taps': expected int from 1 to 4, got 1.5"),
        ({"mode": "cliped"}, "did you mean 'clipped'?"),
        ({"names": "a"}, "parameter 'names': expected str[], got 'a'"),
        ({"limits__low": 5.0, "limits__high": 4.0}, "expected limits.low <= limits.high, got 5 and 4"),
    ],
)
def test_a_wrong_parameter_refuses_the_configuration_and_the_node_lives(
    robot: Any, values: dict[str, Any], reason: str
) -> None:
    node = amplifier(robot, **values)
    assert not node.start()
    assert node.state == "unconfigured"
    assert reason in node.problem
    assert not node.amplifiers


def test_a_live_parameter_reaches_the_processor(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start()
    assert set_from_outside(node, gain=5.0) == (True, "")
    assert node.amplifiers[-1].config.gain == 5.0
    assert node.get_parameter("gain").value == 5.0


def test_a_whole_number_serves_as_a_float(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start()
    assert set_from_outside(node, gain=5)[0]
    assert node.get_parameter("gain").value == 5.0


@pytest.mark.parametrize("kind", [Parameter.Type.BOOL_ARRAY, Parameter.Type.BYTE_ARRAY])
def test_an_empty_array_of_any_type_empties_an_array(robot: Any, kind: Parameter.Type) -> None:
    node = amplifier(robot, words=["a"])
    assert node.start()
    assert node.set_parameters_atomically([Parameter("words", kind, [])]).successful
    assert node.amplifiers[-1].config.words == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"gain": 11.0}, "out of range"),
        ({"gain": float("nan")}, ""),
        ({"gain": "loud"}, "Wrong parameter type"),
        ({"taps": 2}, "read-only"),
        ({"limits__low": 200.0}, "expected limits.low <= limits.high, got 200 and 100"),
        ({"gain": 5.0, "limits__low": 200.0}, "expected limits.low <= limits.high"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    robot: Any, values: dict[str, Any], reason: str
) -> None:
    node = amplifier(robot)
    assert node.start()
    before = node.amplifiers[-1].config
    successful, why = set_from_outside(node, **values)
    assert not successful
    assert reason in why
    assert node.amplifiers[-1].config is before
    assert node.get_parameter("gain").value == 2.0


def test_a_change_while_unconfigured_counts_at_configure(robot: Any) -> None:
    node = amplifier(robot)
    assert set_from_outside(node, gain=5.0)[0]
    assert node.start()
    assert node.amplifiers[-1].config.gain == 5.0
