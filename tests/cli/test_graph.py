# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A parameter file says which nodes there are; each is started by the executable of its name."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lowlat_nodes.cli.graph import Graph, config_type, executables, load
from lowlat_nodes.stream.errors import ConfigurationError

Load = Callable[..., Graph]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    program = tmp_path / "my_node"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "no_program").write_text("")

    def load_text(text: str, **options: object) -> Graph:
        path = tmp_path / "graph.yaml"
        path.write_text(textwrap.dedent(text))
        return load(path, **options)  # type: ignore[arg-type]

    return load_text


def rules(graph: Graph) -> dict[str, list[str]]:
    """Return the remapping rules of each node."""
    return {
        item.node: [rule for flag, rule in zip(item.argv, item.argv[1:], strict=False) if flag == "-r"]
        for item in graph.nodes
    }


def test_a_node_is_made_by_the_executable_of_its_name(loaded: Load, tmp_path: Path) -> None:
    graph = loaded("policy_node: {ros__parameters: {}}")
    [process] = graph.nodes
    assert (process.node, process.executable, process.ours) == ("/policy_node", "policy_node", True)
    assert Path(process.argv[0]).name == "policy_node"
    assert process.argv[1:] == ("--ros-args", "-r", "__ns:=/", "--params-file", str(tmp_path / "graph.yaml"))


def test_a_section_of_any_namespace_is_one_node_in_the_given_namespace(loaded: Load) -> None:
    text = "/**: {ros__parameters: {use_sim_time: true}}\n/**/policy_node: {ros__parameters: {}}"
    assert rules(loaded(text)) == {"/policy_node": ["__ns:=/"]}
    assert rules(loaded(text, namespace="robot")) == {"/robot/policy_node": ["__ns:=/robot"]}
    assert rules(loaded(text, namespace="/a/b/")) == {"/a/b/policy_node": ["__ns:=/a/b"]}


def test_sections_for_one_node_are_one_node(loaded: Load) -> None:
    text = """
        /robot/policy_node: {ros__parameters: {}}
        /robot: {policy_node: {ros__parameters: {}}}
        /*/policy_node: {ros__parameters: {}}
        /robot/**: {ros__parameters: {}}
    """
    assert rules(loaded(text)) == {"/robot/policy_node": ["__ns:=/robot"]}


def test_nodes_of_other_names_say_what_makes_them(loaded: Load, tmp_path: Path) -> None:
    graph = loaded(
        """
        lowlat_up:
          ros__parameters:
            node:
              left: {executable: policy_node, remap: ["joint_states:=left/joint_states"]}
              right: {executable: ./my_node}
        left: {ros__parameters: {}}
        /robot/right: {ros__parameters: {}}
        """
    )
    assert rules(graph) == {
        "/left": ["__ns:=/", "joint_states:=left/joint_states", "policy_node:__node:=left"],
        "/robot/right": ["__ns:=/robot", "__node:=right"],
    }
    assert [item.ours for item in graph.nodes] == [True, False]
    assert graph.nodes[1].argv[0] == str(tmp_path / "my_node")


def test_nodes_that_are_started_elsewhere_are_left_out(loaded: Load) -> None:
    text = """
        lowlat_up: {ros__parameters: {others: [controller_manager]}}
        controller_manager: {ros__parameters: {update_rate: 100}}
        policy_node: {ros__parameters: {}}
    """
    assert list(rules(loaded(text))) == ["/policy_node"]


def test_only_selects_by_name_and_by_fully_qualified_name(loaded: Load) -> None:
    text = "/a/policy_node: {ros__parameters: {}}\n/b/policy_node: {ros__parameters: {}}"
    assert list(rules(loaded(text, only=["/b/policy_node"]))) == ["/b/policy_node"]
    assert list(rules(loaded(text, only=["policy_node"]))) == ["/a/policy_node", "/b/policy_node"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("polcy_node: {ros__parameters: {}}", {}, "no executable 'polcy_node'; did you mean 'policy_node'?"),
        (
            "camera: {ros__parameters: {}}",
            {},
            "expected one of: alert_node, alert_replay_node, bridge_node, detector_node, energy_node, ",
        ),
        (
            "/**: {ros__parameters: {a: 1}}",
            {},
            "no section names a node; write '/**/alert_node:' for '/**:'",
        ),
        ("policy-node: {ros__parameters: {}}", {}, "line 1: expected a name of letters, digits and _"),
        (
            "policy_node: {ros__parameters: {}}",
            {"namespace": "robot"},
            "would not reach a node in '/robot'; write '/**/policy_node' to start it anywhere",
        ),
        ("policy_node: {ros__parameters: {}}", {"only": ["policy"]}, "did you mean 'policy_node'?"),
        (
            "lowlat_up: {ros__parameters: {restart_limt: 3}}\npolicy_node: {ros__parameters: {}}",
            {},
            "there is no parameter 'restart_limt'; did you mean 'restart_limit'?",
        ),
        (
            "lowlat_up: {ros__parameters: {node.polcy_node.remap: []}}\npolicy_node: {ros__parameters: {}}",
            {},
            "options for the node 'polcy_node'; did you mean 'policy_node'?",
        ),
        (
            "lowlat_up: {ros__parameters: {node.left.executable: ./no_program}}\nleft: {ros__parameters: {}}",
            {},
            "expected an executable program for '/left'",
        ),
    ],
)
def test_mistakes_are_refused(loaded: Load, text: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(text, **options)
    assert message in str(caught.value)


@pytest.mark.ros
@pytest.mark.parametrize("executable", executables())
def test_every_executable_has_one_configuration(executable: str) -> None:
    from lowlat_nodes.nodes.base import NodeSettings

    assert issubclass(config_type(executable), NodeSettings)


@pytest.mark.ros
def test_check_refuses_what_the_node_would_refuse(loaded: Load) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded("/robot/policy_node: {ros__parameters: {autostrat: false, use_sim_time: true}}").check()
    assert "/robot/policy_node: there is no parameter 'autostrat'; did you mean 'autostart'?" in str(
        caught.value
    )


@pytest.mark.ros
def test_check_makes_the_processor_that_a_node_would_host(loaded: Load) -> None:
    text = """
        processor_node:
          ros__parameters:
            processor: throttle
            parameters: {max_hz: 5.0}
            inputs: {words: {type: std_msgs/msg/String}}
            outputs: {words: {type: std_msgs/msg/String}}
    """
    loaded(text).check()
    with pytest.raises(ConfigurationError, match=r"did you mean 'parameters\.max_hz'"):
        loaded(text.replace("max_hz", "max_h")).check()
    with pytest.raises(
        ConfigurationError, match=r"/processor_node: inputs.words: expected an installed message"
    ):
        loaded(text.replace("String", "Strin")).check()
