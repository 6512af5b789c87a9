# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lowlat_nodes.cli.dash.links import ZmqLink, links
from lowlat_nodes.cli.reports import Report


def report(node: str, **values: str) -> Report:
    return Report(node, "", "ok", "", 0.1, {name.replace("__", "."): value for name, value in values.items()})


def test_nodes_are_linked_by_the_endpoint_that_both_name() -> None:
    camera = report("/camera", zmq__endpoint="ipc:///run/camera")
    detector = report(
        "/detector",
        peer__left__endpoint="ipc:///run/camera",
        peer__left__in_place="12",
        zmq__endpoint="ipc:///run/d",
    )
    bridge = report("/bridge", peer__d__endpoint="ipc:///run/d", peer__far__endpoint="tcp://10.0.0.7:5557")
    assert list(links([camera, detector, bridge])) == [
        ZmqLink("/camera", "/detector", "left", in_place=True),
        ZmqLink("/detector", "/bridge", "d", in_place=False),
    ]


@pytest.mark.parametrize(
    ("bound", "connected", "same"),
    [
        ("tcp://0.0.0.0:5557", "tcp://127.0.0.1:5557", True),
        ("tcp://*:5557", "tcp://localhost:5557", True),
        ("tcp://127.0.0.1:5557", "tcp://[::1]:5557", True),
        ("tcp://0.0.0.0:5557", "tcp://127.0.0.1:5558", False),
        ("tcp://0.0.0.0:5557", "tcp://robot2:5557", False),
        ("tcp://robot:5557", "tcp://127.0.0.1:5557", False),
        ("ipc:///a", "ipc:///b", False),
        ("rubbish", "tcp://127.0.0.1:1", False),
    ],
)
def test_addresses_that_mean_the_same(bound: str, connected: str, same: bool) -> None:
    found = list(links([report("/a", zmq__endpoint=bound), report("/b", peer__a__endpoint=connected)]))
    assert bool(found) is same


def test_a_node_is_not_linked_to_itself() -> None:
    both = report("/a", zmq__endpoint="ipc:///a", peer__own__endpoint="ipc:///a")
    assert list(links([both])) == []
