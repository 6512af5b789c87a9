# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files are read as rcl reads them, and refused with the line that is wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.nodes.parameter_file import (
    ParameterFileError,
    Section,
    parameters_of,
    plain,
    read,
    require_node,
    value,
)

SCALARS = """
1 -5 +5 0x1F -0x1f 010 08 09.5 1e3 1E-3 1. .5 +.5 5. 1.e3 -.5e-3 1_000 1:30 2026-01-01 00 -0 --5 0.1.2 1,000
yes Yes yES y Y n off Off oN true TRUE null ~ .inf -.inf +.inf inf Infinity .infinity nan .NaN 0b11 0o17 0x
9223372036854775807 9223372036854775808 -9223372036854775808 1e400 1f e1
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ParameterFileError) as caught:
        read(write(folder, text))
    return str(caught.value)


@pytest.mark.ros
def test_every_scalar_has_the_type_that_rcl_gives_it(tmp_path: Path) -> None:
    import rclpy
    from rclpy.context import Context

    path = write(tmp_path, "probe:\n  ros__parameters:\n" + "".join(
        f"    p{index}: {text}\n" for index, text in enumerate(SCALARS.split())
    ))  # fmt: skip
    ours = read(path)[0].parameters
    context = Context()
    rclpy.init(args=["probe", "--ros-args", "--params-file", str(path)], context=context)
    try:
        node = rclpy.create_node(
            "probe", context=context, automatically_declare_parameters_from_overrides=True
        )
        theirs = {f"p{index}": node.get_parameter(f"p{index}").value for index in range(len(SCALARS.split()))}
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    described = {
        text: (repr(ours[name]), repr(theirs[name]))
        for name, text in zip(theirs, SCALARS.split(), strict=True)
    }
    assert {text: pair for text, pair in described.items() if pair[0] != pair[1]} == {}


@pytest.mark.ros
@pytest.mark.parametrize(
    ("namespace", "name"), [("/", "policy"), ("/robot", "policy"), ("/a/b", "policy"), ("/robot", "other")]
)
def test_every_node_gets_the_parameters_that_rcl_gives_it(tmp_path: Path, namespace: str, name: str) -> None:
    import rclpy
    from rclpy.context import Context

    path = write(
        tmp_path,
        """
        policy: {ros__parameters: {a: 1, last: policy}}
        /**: {ros__parameters: {b: 1, last: any}}
        /robot: {policy: {ros__parameters: {c: 1, last: nested}}}
        /*/policy: {ros__parameters: {d: 1, nested: {e: 1}, last: one}}
        /**/policy: {ros__parameters: {f: 1, nested.e: 2}}
        /robot/**: {ros__parameters: {g: 1}}
        /a/**/policy: {ros__parameters: {h: 1}}
        """,
    )
    ours = parameters_of(f"{namespace.rstrip('/')}/{name}", read(path))
    context = Context()
    rclpy.init(args=["probe", "--ros-args", "--params-file", str(path)], context=context)
    try:
        node = rclpy.create_node(
            name, namespace=namespace, context=context, automatically_declare_parameters_from_overrides=True
        )
        theirs = {key: item.value for key, item in node.get_parameters_by_prefix("").items()}
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    theirs = {
        key: value
        for key, value in theirs.items()
        if key not in {"use_sim_time", "start_type_description_service"}
    }
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected `node_name:` with `ros__parameters:` below it"),
        ("- a", "line 1: got no `ros__parameters:` below 'a node name'"),
        ("policy:", "line 1: got no `ros__parameters:` below '/policy'"),
        ("policy: {}", "line 1: got no `ros__parameters:` below '/policy'"),
        ("policy: 5", "line 1: got no `ros__parameters:` below '/policy'"),
        ("ros__parameters: {a: 1}", "line 1: got `ros__parameters:` without the name of a node above it"),
        ("policy:\n  rate: 5", "line 2: got no `ros__parameters:` below '/policy/rate'"),
        ("policy:\n  ros__parameters: 5", "line 2: got '5', expected parameters of '/policy'"),
        (
            "policy:\n  ros__parameters:\n    a:\n    b: 1",
            "got 'a' without a value (an empty string is written",
        ),
        ("policy:\n  ros__parameters:\n    a: [1, 2.5]", "line 3: got 2.5 in the array 'a': expected int"),
        ("policy:\n  ros__parameters:\n    a: [[1], [2]]", "line 3: got 'a': expected one level of values"),
        ("policy:\n  ros__parameters:\n    a: {b: {}}", "line 3: got no parameters in 'a.b': leave it out"),
        ("policy:\n  ros__parameters: &x {a: 1}\nother:\n  ros__parameters: *x", "line 4: got the alias *x"),
        ("policy: [", "params.yaml: while parsing"),
        ("policy:\n\tros__parameters: {}", "found character '\\t' that cannot start any token"),
    ],
)
def test_what_is_no_parameter_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text)


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterFileError, match="expected a ROS parameter file"):
        read(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParameterFileError, match="expected a ROS parameter file"):
        read(tmp_path / "binary.yaml")


def test_sections_know_their_line_name_and_namespace(tmp_path: Path) -> None:
    sections = read(write(tmp_path, "/**:\n  ros__parameters: {a: 1}\n/r/policy:\n  ros__parameters: {}\n"))
    assert [(item.pattern, item.line, item.namespace, item.name) for item in sections] == [
        ("/**", 2, "/", "**"),
        ("/r/policy", 4, "/r", "policy"),
    ]


def test_quoted_text_stays_text(tmp_path: Path) -> None:
    [section] = read(write(tmp_path, 'n: {ros__parameters: {a: "5", b: \'yes\', c: ["1", x], d: ""}}'))
    assert dict(section.parameters) == {"a": "5", "b": "yes", "c": ["1", "x"], "d": ""}


@pytest.mark.parametrize(
    ("pattern", "node", "matches"),
    [
        ("/policy", "/policy", True),
        ("/policy", "/robot/policy", False),
        ("/policy", "/policy2", False),
        ("/**", "/a/b/c", True),
        ("/**/policy", "/policy", True),
        ("/**/policy", "/a/b/policy", True),
        ("/*/policy", "/policy", False),
        ("/*/policy", "/a/policy", True),
        ("/*/policy", "/a/b/policy", False),
        ("/a/**/policy", "/a/policy", True),
        ("/a.c/policy", "/abc/policy", False),
    ],
)
def test_patterns(pattern: str, node: str, matches: bool) -> None:
    assert Section(pattern, 1, {}).matches(node) is matches


@pytest.mark.parametrize(
    ("text", "value"), [("1e3", 1000.0), ("1_000", "1_000"), ("2026-01-01", "2026-01-01")]
)
def test_types_are_not_those_of_yaml(text: str, value: Any) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a, 2, true]", ["a", 2, True]),
        ("['/night one', \"2\"]", ["/night one", "2"]),
        ("[]", []),
        ("'1.5'", "1.5"),
        ("best == 'SN Ia'", "best == 'SN Ia'"),
        ("'CV' == best or best == 'AGN'", "'CV' == best or best == 'AGN'"),
        ('p["SN Ia"] > 0.5', 'p["SN Ia"] > 0.5'),
    ],
)
def test_values_on_a_command_line(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("node", ["/eyes", "/left/eyes"])
@pytest.mark.parametrize("pattern", ["/**", "/**/eyes", "/*/eyes"])
def test_a_file_is_taken_if_a_section_matches_the_node(tmp_path: Path, pattern: str, node: str) -> None:
    path = write(tmp_path, f"eyes: {{ros__parameters: {{a: 1}}}}\n{pattern}: {{ros__parameters: {{b: 1}}}}")
    require_node(path, node)


@pytest.mark.parametrize(
    ("node", "hint"), [("/left/eyes", "'/**/eyes'"), ("/ears", "'/**/ears'"), ("/left/ears", "'/**/ears'")]
)
def test_a_file_that_says_nothing_about_the_node_is_refused(tmp_path: Path, node: str, hint: str) -> None:
    path = write(tmp_path, "eyes: {ros__parameters: {a: 1}}\n/right/eyes: {ros__parameters: {a: 2}}")
    with pytest.raises(ParameterFileError) as caught:
        require_node(path, node)
    assert f"expected a section for {node}, got /eyes, /right/eyes" in str(caught.value)
    assert hint in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterFileError, match="expected a ROS parameter file"):
        require_node(tmp_path / "none.yaml", "/eyes")
