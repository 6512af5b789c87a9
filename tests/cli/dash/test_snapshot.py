# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import numpy as np

from lowlat_nodes.cli.dash.snapshot import snapshot
from lowlat_nodes.cli.reports import Report
from lowlat_nodes.nodes.watch.graph import Graph, Topic
from lowlat_nodes.nodes.watch.seen import Alert, Arm, Camera, Frame
from lowlat_nodes.stream.payload import Detections, Image

MS = 1_000_000
NOW_NS = 5_000 * MS
IMAGE = Image(np.zeros((480, 640, 3), np.uint8), "rgb8")


def taken(**given: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "domain": 7,
        "reports": (),
        "graph": Graph(),
        "cameras": (),
        "arms": (),
        "alerts": (),
        "events": (),
        "now_ns": NOW_NS,
    }
    found: dict[str, Any] = json.loads(snapshot(3, **nothing | given))
    return found


def test_what_is_there_when_nothing_is() -> None:
    found = taken()
    assert (found["version"], found["domain"], found["sequence"]) == (1, 7, 3)
    assert found["graph"] == {"nodes": [], "streams": []}
    assert [found[name] for name in ("nodes", "cameras", "arms", "alerts", "events")] == [[]] * 5
    assert taken(domain=None)["domain"] is None


def test_the_graph_says_which_nodes_are_ours_and_has_one_place_for_all_processes_of_a_node() -> None:
    topic = Topic("/joint_states", "sensor_msgs/msg/JointState", ("/arm",), ("/policy_node_tick",))
    graph = Graph(("/arm", "/policy_node", "/policy_node_tick"), {topic.name: topic})
    report = Report("/policy_node", "policy", "ok", "", 0.1, {"rate_out_hz": "1"})
    found = taken(graph=graph, reports=[report, Report("/arm", "", "ok", "", 0.1, {})])["graph"]
    assert {node["name"]: node["ours"] for node in found["nodes"]} == {
        "/arm": False,
        "/policy_node": True,
    }
    assert found["streams"] == [
        {
            "from": "/arm",
            "to": "/policy_node",
            "topic": "/joint_states",
            "type": "sensor_msgs/msg/JointState",
            "transport": "ros",
        }
    ]


def test_streams_over_zeromq_are_in_the_graph_with_those_at_their_ends() -> None:
    camera = Report("/camera", "loop", "ok", "", 0.1, {"zmq.endpoint": "ipc:///c"})
    detector = Report("/detector", "", "ok", "", 0.1, {"peer.c.endpoint": "ipc:///c", "peer.c.in_place": "3"})
    found = taken(graph=Graph(("/detector",)), reports=[camera, detector])["graph"]
    assert [node["name"] for node in found["nodes"]] == ["/camera", "/detector"]
    assert found["streams"] == [
        {"from": "/camera", "to": "/detector", "topic": "c", "type": "", "transport": "shm"}
    ]


def test_a_camera_has_its_detections_with_their_age() -> None:
    rows = np.array([[10, 20, 40, 60, 0.9, 1], [0, 0, np.inf, 5, 0.8, 0], [1, 2, 3, 4, 0.5, 0]], np.float32)
    detections = Detections(rows, ("disc", "square"), np.array([7, 8, -1]))
    frame = Frame(12, 2_000 * MS, "optical", IMAGE, NOW_NS - 40 * MS, detections, 1_900 * MS)
    [found] = taken(cameras=[Camera(1, "/camera/image", "/detector_node", frame, "")])["cameras"]
    assert found == {
        "index": 1,
        "topic": "/camera/image",
        "sequence": 12,
        "width": 640,
        "height": 480,
        "age_ms": 40.0,
        "detector": "/detector_node",
        "detections": [
            {
                "label": "square",
                "score": 0.9,
                "x": 10.0,
                "y": 20.0,
                "width": 30.0,
                "height": 40.0,
                "track": "7",
            },
            {"label": "disc", "score": 0.5, "x": 1.0, "y": 2.0, "width": 2.0, "height": 2.0, "track": ""},
        ],
        "detections_age_ms": 140.0,
        "trouble": "",
    }


def test_a_camera_without_frame_or_picture_is_there_all_the_same() -> None:
    depth = Frame(1, 0, "", Image(np.zeros((4, 4), np.float32), "32FC1"), NOW_NS)
    waiting, troubled = taken(cameras=[Camera(0, "/a", "", None, ""), Camera(1, "/b", "", depth, "")])[
        "cameras"
    ]
    assert (waiting["sequence"], waiting["age_ms"], waiting["detector"]) == (0, None, None)
    assert "32FC1" in troubled["trouble"]


def test_an_arm_with_and_without_what_one_may_know_of_it() -> None:
    names = ("shoulder", "elbow")
    whole = Arm(
        "/a", names, np.array([0.1, 0.2]), np.array([0.3, np.nan]), np.array([[0.0, 0, 0], [1, 2, 3]]), NOW_NS
    )
    bare = Arm("/b", names, np.array([0.1, np.inf]), None, None, NOW_NS - MS)
    first, second = taken(arms=[whole, bare])["arms"]
    assert (first["names"], first["positions"], first["commands"]) == (list(names), [0.1, 0.2], [0.3, None])
    assert first["outline"] == [[0, 0, 0], [1, 2, 3]]
    assert (second["positions"], second["commands"], second["outline"]) == ([0.1, None], None, None)
    assert second["age_ms"] == 1.0


def test_an_alert_with_its_light_curve_and_what_it_cost() -> None:
    fields = {
        "object_id": "ZTF18abc",
        "best": "SN Ia",
        "p": {"SN Ia": 0.9, "AGN": None},
        "received_ns": 1_500_000_000,
        "light_curve": {"ztf_g": [[59000.0, 18.0, 0.1]], "ztf_r": []},
    }
    report = Report("/alert_node", "alerts", "ok", "", 0.1, {"energy.j_per_result": "0.002"})
    [found] = taken(alerts=[Alert("/alert_node", fields)], reports=[report])["alerts"]
    assert found == {
        "object": "ZTF18abc",
        "best": "SN Ia",
        "p": {"SN Ia": 0.9},
        "at": 1.5,
        "cost": 0.002,
        "light_curve": {"g": [[59000.0, 18.0, 0.1]], "r": []},
    }


def test_whatever_somebody_else_calls_a_result_does_no_harm() -> None:
    strange: list[Any] = [
        {"object_id": None, "best": 7, "p": "none"},
        {"object_id": "x" * 999, "best": "", "p": {"a": float("nan")}, "published_ns": "now"},
        {"object_id": "a", "best": "b", "p": {}, "light_curve": {"g": [[1, 2]]}},
        {"object_id": "a", "best": "b", "p": {}, "light_curve": {"g": [[1, float("inf"), 3]]}},
        {"object_id": "a", "best": "b", "p": {}, "light_curve": [1]},
    ]
    found = taken(alerts=[Alert("/other", fields) for fields in strange])["alerts"]
    assert [alert["light_curve"] for alert in found] == [None] * 5
    assert [alert["at"] for alert in found] == [None] * 5
    assert len(found[1]["object"]) == 200
