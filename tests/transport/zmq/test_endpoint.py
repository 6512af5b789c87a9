# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Addresses: which are taken, and which of them only this machine can reach."""

from __future__ import annotations

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.endpoint import check_endpoint, is_local


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("tcp://127.0.0.1:5555", True),
        ("tcp://127.8.8.8:0", True),
        ("tcp://localhost:5555", True),
        ("tcp://[::1]:5555", True),
        ("ipc:///run/user/1000/policy", True),
        ("tcp://0.0.0.0:5555", False),
        ("tcp://*:5555", False),
        ("tcp://eth0:5555", False),
        ("tcp://10.0.0.1:5555", False),
        ("tcp://[::]:5555", False),
        ("tcp://robot.example:5555", False),
        ("tcp://localhost.example:5555", False),
    ],
)
def test_addresses(endpoint: str, local: bool) -> None:
    assert check_endpoint(endpoint) == endpoint
    assert is_local(endpoint) is local


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:1\n",
        "tcp://127.0.0.1:1;tcp://0.0.0.0:1",
        "tcp://:5555",
        "inproc://x",
        "ipc://relative/path",
        "ipc://@abstract",
        "ipc://..",
        "ipc://",
        "ipc:///" + "x" * 107,
        "pgm://224.0.0.1:5555",
    ],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an address"):
        check_endpoint(endpoint)
