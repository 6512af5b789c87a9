# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings are typed, ranged and named; whatever does not fit says where, what was expected and what came."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.stream.config import (
    Setting,
    build,
    flatten,
    group,
    section,
    setting,
    settings,
    to_flat,
    untyped,
)
from lowlat_nodes.stream.errors import ConfigurationError


@dataclass(frozen=True)
class Limits:
    velocity: float = setting(1.0, doc="Largest speed.", unit="rad/s", low=0.0, high=10.0, live=True)
    enabled: bool = setting(True, doc="Whether limits apply.")


@dataclass(frozen=True)
class Camera:
    topic: str = setting(doc="Image topic.")
    width: int = setting(640, doc="Columns.", unit="px", low=1, high=10_000)


@dataclass(frozen=True)
class Arm:
    joints: tuple[str, ...] = setting([], doc="Joint names in order.")
    scale: tuple[float, ...] = setting((1.0, 2.0), doc="Factor per joint.", low=-5.0, high=5.0)
    strategy: str = setting("vlash", doc="How chunks are swapped.", choices=["sync", "naive_async", "vlash"])
    limits: Limits = section(Limits, doc="What the arm may do.")
    camera: Mapping[str, Camera] = group(Camera, doc="One group per camera.")

    def __post_init__(self) -> None:
        if self.joints and len(self.joints) != len(self.scale):
            raise ConfigurationError(f"scale: expected {len(self.joints)} values, got {len(self.scale)}")


def refused(values: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        build(Arm, values)
    return str(caught.value)


def test_defaults_need_no_values() -> None:
    assert build(Arm, {}) == Arm(
        joints=(), scale=(1.0, 2.0), strategy="vlash", limits=Limits(velocity=1.0, enabled=True), camera={}
    )


@pytest.mark.parametrize(
    "values",
    [
        {"limits.velocity": 2.0, "camera.front.topic": "image", "camera.front.width": 320},
        {"limits": {"velocity": 2.0}, "camera": {"front": {"topic": "image", "width": 320}}},
        {"limits.velocity": 2.0, "camera": {"front.topic": "image", "front": {"width": 320}}},
    ],
    ids=["flat", "nested", "mixed"],
)
def test_flat_nested_and_mixed_values_mean_the_same(values: Mapping[str, Any]) -> None:
    arm = build(Arm, values)
    assert arm.limits.velocity == 2.0
    assert dict(arm.camera) == {"front": Camera(topic="image", width=320)}


def test_groups_hold_any_number_of_members_in_order() -> None:
    arm = build(Arm, {"camera": {"wrist": {"topic": "w"}, "front": {"topic": "f"}}})
    assert list(arm.camera.items()) == [
        ("wrist", Camera(topic="w", width=640)),
        ("front", Camera(topic="f", width=640)),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stratgy": "sync"}, "there is no parameter 'stratgy'; did you mean 'strategy'?"),
        ({"limits.velocty": 1.0}, "there is no parameter 'limits.velocty'; did you mean 'limits.velocity'?"),
        ({"camera": {"front": {"topc": "f", "topic": "f"}}}, "did you mean 'camera.front.topic'?"),
        ({"xyzzy": 1}, "there is no parameter 'xyzzy'; known: joints, scale, strategy, limits.velocity"),
        ({"strategy": "vlas"}, "one of: sync, naive_async, vlash, got 'vlas'; did you mean 'vlash'?"),
        ({"limits.velocity": 11.0}, "'limits.velocity': expected float from 0 to 10 rad/s, got 11.0"),
        ({"limits.velocity": -0.1}, "expected float from 0 to 10 rad/s, got -0.1"),
        ({"limits.velocity": float("nan")}, "got nan"),
        ({"limits.velocity": float("inf")}, "got inf"),
        ({"limits.velocity": "2"}, "expected float from 0 to 10 rad/s, got '2'"),
        ({"limits.velocity": True}, "got True"),
        ({"limits.velocity": None}, "got None"),
        ({"limits.enabled": 1}, "'limits.enabled': expected bool, got 1"),
        (
            {"camera.front.topic": "f", "camera.front.width": 640.0},
            "expected int from 1 to 10000 px, got 640.0",
        ),
        ({"camera.front.topic": "f", "camera.front.width": 0}, "expected int from 1 to 10000 px, got 0"),
        ({"joints": "j1"}, "'joints': expected str[], got 'j1' (Joint names in order.)"),
        ({"joints": ["j1", 2]}, "'joints': expected str[], got 2"),
        ({"scale": [1.0, 6.0]}, "expected float[] from -5 to 5, got 6.0"),
        ({"scale": 1.0}, "expected float[] from -5 to 5, got 1.0"),
        ({"scale": [[1.0, 2.0]]}, "'scale': expected float[] from -5 to 5, got [1.0, 2.0]"),
        ({"camera.front.width": 640}, "parameter 'camera.front.topic' must be given: Image topic."),
        (
            {"camera": {"front left": {"topic": "f"}}},
            "expected a name of letters, digits and _, got 'front left'",
        ),
        ({"camera.front": "image"}, "there is no parameter 'camera.front'"),
        ({"camera": "image"}, "there is no parameter 'camera'"),
        ({"limits": 1.0}, "there is no parameter 'limits'"),
        ({"joints": ["j1"]}, "scale: expected 1 values, got 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(values: Mapping[str, Any], message: str) -> None:
    assert message in refused(values)


@pytest.mark.parametrize("values", [{"limits": {}}, {"camera": {}}])
def test_an_empty_section_of_a_known_name_means_its_defaults(values: Mapping[str, Any]) -> None:
    assert build(Arm, values) == Arm()


@pytest.mark.parametrize(
    "given",
    [[1.5, -2], (1.5, -2.0), np.array([1.5, -2.0]), array.array("d", [1.5, -2.0]), [np.float64(1.5), -2]],
)
def test_arrays_of_any_kind_become_tuples_of_plain_numbers(given: Any) -> None:
    scale = build(Arm, {"scale": given}).scale
    assert scale == (1.5, -2.0)
    assert [type(value) for value in scale] == [float, float]


@pytest.mark.parametrize("given", [np.float64(1.5), np.array(1.5), np.zeros((2, 2)), {1.5}, None])
def test_what_is_no_row_of_numbers_is_refused(given: Any) -> None:
    assert "'scale': expected float[]" in refused({"scale": given})


@pytest.mark.parametrize("given", [np.array([1.0, 2.0]), [1.0], 10**400])
def test_what_is_no_number_is_refused(given: Any) -> None:
    assert "'limits.velocity': expected float from 0 to 10 rad/s" in refused({"limits.velocity": given})


def test_integers_are_taken_for_floats_but_not_the_reverse() -> None:
    assert type(build(Arm, {"limits.velocity": 2}).limits.velocity) is float
    assert "expected int" in refused({"camera.front.topic": "f", "camera.front.width": 1.5})


def test_settings_list_what_a_node_declares() -> None:
    listed = {item.name: item for item in settings(Arm, {"camera.front.topic": "f"})}
    assert list(listed) == [
        "joints", "scale", "strategy", "limits.velocity", "limits.enabled", "camera.front.topic",
        "camera.front.width",
    ]  # fmt: skip
    velocity = listed["limits.velocity"]
    assert (velocity.kind, velocity.many, velocity.default, velocity.live) == (float, False, 1.0, True)
    assert velocity.describe() == "float from 0 to 10 rad/s"
    assert listed["camera.front.topic"].default is None
    assert (listed["joints"].kind, listed["joints"].many, listed["joints"].default) == (str, True, ())


def test_a_template_lists_every_group_once_for_documentation() -> None:
    listed = [item.name for item in settings(Arm, template="NAME")]
    assert listed[-2:] == ["camera.NAME.topic", "camera.NAME.width"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"low": 1.0, "high": 2.0}, "float from 1 to 2"),
        ({"low": 1.0}, "float of at least 1"),
        ({"high": 2.0}, "float of at most 2"),
        ({}, "float"),
    ],
)
def test_ranges_are_described_by_the_limits_that_exist(limits: dict[str, float], words: str) -> None:
    assert Setting("rate", float, False, 1.0, "", **limits).describe() == words


def test_a_type_that_is_no_parameter_is_the_authors_error() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.shape"):
        settings(Wrong)


@dataclass(frozen=True)
class Wrong:
    shape: tuple[tuple[int, ...], ...] = setting((), doc="Not a parameter.")


names = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
cameras = st.builds(Camera, topic=st.text(max_size=8), width=st.integers(1, 10_000))
limits = st.builds(Limits, velocity=st.floats(0, 10), enabled=st.booleans())


@given(
    st.builds(
        Arm,
        joints=st.just(()),
        scale=st.lists(st.floats(-5, 5), max_size=4).map(tuple),
        strategy=st.sampled_from(["sync", "naive_async", "vlash"]),
        limits=limits,
        camera=st.dictionaries(names, cameras, max_size=3),
    )
)
def test_to_flat_is_the_reverse_of_build(arm: Arm) -> None:
    assert build(Arm, to_flat(arm)) == arm


def test_configurations_cannot_be_changed() -> None:
    arm = build(Arm, {"camera.front.topic": "f"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        arm.strategy = "sync"  # type: ignore[misc]
    with pytest.raises(TypeError):
        arm.camera["other"] = Camera(topic="x")  # type: ignore[index]


def test_flatten_joins_names_with_dots() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": 2}, "e.f": 3}) == {"a.b.c": 1, "a.d": 2, "e.f": 3}


@dataclass(frozen=True)
class Host:
    name: str = setting(doc="Whom to host.")
    its: Mapping[str, Any] = untyped(doc="What that one is told.")


@pytest.mark.parametrize(
    "values",
    [
        {"its.gain": 2.0, "its.filter.names": ("a", "b"), "its.taps": array.array("q", [1, 2])},
        {"its": {"gain": 2.0, "filter": {"names": ["a", "b"]}, "taps": np.array([1, 2])}},
    ],
    ids=["flat, as a node has it", "nested, as a file has it"],
)
def test_untyped_values_are_kept_flat_in_the_types_that_they_have(values: Mapping[str, Any]) -> None:
    host = build(Host, {"name": "me", **values})
    assert dict(host.its) == {"gain": 2.0, "filter.names": ["a", "b"], "taps": [1, 2]}
    assert build(Host, to_flat(host)) == host


@pytest.mark.parametrize(
    ("value", "kind", "many"),
    [
        (True, bool, False),
        (1, int, False),
        ("", str, False),
        ([1.0], float, True),
        ([], str, True),
        (None, str, True),
    ],
)
def test_an_untyped_value_is_a_parameter_of_its_own_type(value: Any, kind: type, many: bool) -> None:
    (_, item) = settings(Host, {"its.value": value})
    assert (item.name, item.kind, item.many, item.live) == ("its.value", kind, many, False)


@pytest.mark.parametrize("value", [{1, 2}, [[1.0]], b"bytes", [None]])
def test_an_untyped_value_is_one_that_a_parameter_can_have(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"'its\.value': expected bool, int, float, str or an array"):
        build(Host, {"name": "me", "its.value": value})


def test_an_array_of_two_types_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'its.value': expected int\[\], got 2.5"):
        build(Host, {"name": "me", "its.value": [1, 2.5]})


def test_documentation_has_one_row_for_all_of_them() -> None:
    assert [(item.name, item.describe()) for item in settings(Host, template="NAME")] == [
        ("name", "str"),
        ("its.NAME", "any"),
    ]


@dataclass(frozen=True)
class ToldHost:
    kind: str = setting("", doc="What to host.")
    its: Mapping[str, Any] = untyped(
        doc="What that one is told.",
        typed_by=lambda values: Camera if values.get("kind") == "camera" else None,
    )


def test_the_other_values_may_tell_what_the_untyped_ones_must_fit() -> None:
    assert [item.name for item in settings(ToldHost, {"kind": "camera"})] == [
        "kind",
        "its.topic",
        "its.width",
    ]
    host = build(ToldHost, {"kind": "camera", "its.width": 320})
    assert dict(host.its) == {"width": 320}  # no more than what is given: the rest is for whoever makes it
    with pytest.raises(ConfigurationError, match=r"no parameter 'its\.widht'; did you mean 'its\.width'"):
        build(ToldHost, {"kind": "camera", "its.widht": 320})
    assert dict(build(ToldHost, {"kind": "lidar", "its.widht": 320}).its) == {"widht": 320}
