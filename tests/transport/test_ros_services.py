# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests and responses as bytes and as plain data; what is neither is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.ros.services import (
    ServiceError,
    deserialise,
    from_plain,
    serialise,
    service_type,
    to_plain,
)

pytestmark = pytest.mark.ros

PARAMETERS = "rcl_interfaces/srv/SetParameters"
CAMERA = "sensor_msgs/srv/SetCameraInfo"

VALUE = {"type": 3, "double_value": 2.5, "byte_array_value": [0, 255], "bool_array_value": [True]}
INFO = {"header": {"frame_id": "lens"}, "d": [0.5, 1.0], "k": [float(n) for n in range(9)], "height": 4}
FIELDS: dict[str, dict[str, Any]] = {
    "std_srvs/srv/SetBool": {"data": True},
    "std_srvs/srv/Trigger": {},
    PARAMETERS: {"parameters": [{"name": "rate", "value": VALUE}]},
    CAMERA: {"camera_info": INFO},
}


def covers(found: Any, given: Any) -> bool:
    """Return whether all that was given is found; the rest are defaults."""
    if isinstance(given, dict):
        return all(covers(found[key], value) for key, value in given.items())
    if isinstance(given, list):
        return len(found) == len(given) and all(map(covers, found, given))
    return bool(found == given)


@pytest.mark.parametrize("name", FIELDS)
def test_plain_data_becomes_a_request_and_bytes_and_plain_data_again(name: str) -> None:
    kind = service_type(name).Request
    request = from_plain(kind, FIELDS[name])
    again = deserialise(kind, serialise(request))
    assert again == request
    plain = to_plain(again)
    assert covers(plain, FIELDS[name])
    assert from_plain(kind, json.loads(json.dumps(plain))) == request


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("std_srvs/srv/SetBool", [], "SetBool_Request: expected fields by name, got list"),
        ("std_srvs/srv/SetBool", {"date": 1}, "there is no field 'date'; there are data"),
        ("std_srvs/srv/Trigger", {"data": 1}, "there is no field 'data'; there are none"),
        ("std_srvs/srv/SetBool", {"data": 1}, r"SetBool_Request\.data: expected boolean, got 1"),
        (PARAMETERS, {"parameters": 1}, r"parameters: expected a list for sequence<.*>, got int"),
        (PARAMETERS, {"parameters": [{"name": 5}]}, r"parameters\[0\]\.name: expected string, got 5"),
        (CAMERA, {"camera_info": {"k": [1.0]}}, r"camera_info\.k: expected double\[9\]"),
        (CAMERA, {"camera_info": {"height": -1}}, r"camera_info\.height: expected uint32, got -1"),
        (CAMERA, {"camera_info": {"height": 1 << 40}}, r"camera_info\.height: expected uint32"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(name: str, fields: Any, reason: str) -> None:
    with pytest.raises(ServiceError, match=reason):
        from_plain(service_type(name).Request, fields)


def test_bytes_that_are_none_are_refused() -> None:
    kind = service_type("std_srvs/srv/SetBool").Response
    for data in (b"", b"\0", b"\0\1\0\0", b"\0\1\0\0\1\0\0\0\xff\xff\xff\xff"):
        with pytest.raises(ServiceError, match="expected a serialised SetBool_Response"):
            deserialise(kind, data)


def test_a_service_that_is_not_installed_is_named() -> None:
    for name in ("std_srvs/srv/SetBol", "nowhere/srv/A", "std_srvs/SetBool", ""):
        with pytest.raises(ConfigurationError, match="expected an installed service type"):
            service_type(name)
