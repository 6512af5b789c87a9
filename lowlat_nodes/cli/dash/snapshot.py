# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that is known at one moment, as the JSON that the page reads."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lowlat_nodes.cli.dash.links import ZmqLink, links
from lowlat_nodes.cli.dash.rows import finite, row
from lowlat_nodes.cli.reports import Report
from lowlat_nodes.nodes.watch.graph import Graph
from lowlat_nodes.nodes.watch.seen import Alert, Arm, Camera
from lowlat_nodes.stream.errors import LowlatError

VERSION = 1
_MOST_STREAMS = 500
_PROCESSES = ("_tick", "_cameras")  # of a policy node, with ROS nodes of their own
_MOST_DETECTIONS = 100
_MOST_CLASSES = 100
_MOST_EPOCHS = 300  # of a passband
_LONGEST = 200


def snapshot(
    sequence: int,
    *,
    domain: int | None,
    reports: Sequence[Report],
    graph: Graph,
    cameras: Sequence[Camera],
    arms: Sequence[Arm],
    alerts: Sequence[Alert],
    events: Sequence[Mapping[str, Any]],
    now_ns: int,
) -> bytes:
    """Return a snapshot, see docs/dash.md.

    Args:
        sequence: Its number.
        domain: The ROS domain; None without ROS.
        reports: Of the nodes.
        graph: Of ROS.
        cameras: By index.
        arms: By topic.
        alerts: The newest first.
        events: The newest first.
        now_ns: The present steady time.
    """
    ours = {report.node for report in reports if "rate_out_hz" in report.values}
    costs = {report.node: report.number("energy.j_per_result") for report in reports}
    return json.dumps(
        {
            "version": VERSION,
            "at": round(time.time(), 3),
            "host": platform.node(),
            "domain": domain,
            "sequence": sequence,
            "nodes": [row(report) for report in reports],
            "graph": _graph(graph, ours, list(links(reports))),
            "cameras": [_camera(camera, now_ns) for camera in cameras],
            "arms": [_arm(arm, now_ns) for arm in arms],
            "alerts": [_alert(alert, costs.get(alert.node)) for alert in alerts],
            "events": list(events),
        },
        allow_nan=False,
        separators=(",", ":"),
    ).encode()


def _graph(graph: Graph, ours: set[str], beside: Sequence[ZmqLink]) -> dict[str, Any]:
    whole = {name: _whole(name, ours) for name in graph.nodes}
    between = dict.fromkeys(
        (source, target, stream.topic, stream.type_name)
        for stream, _ in zip(graph.streams(), range(_MOST_STREAMS), strict=False)
        if (source := whole.get(stream.source, stream.source))
        != (target := whole.get(stream.target, stream.target))
    )
    streams = [
        {"from": source, "to": target, "topic": topic, "type": type_name, "transport": "ros"}
        for source, target, topic, type_name in between
    ]
    streams += [
        {
            "from": link.source,
            "to": link.target,
            "topic": link.name,
            "type": "",
            "transport": "shm" if link.in_place else "zmq",
        }
        for link in beside[:_MOST_STREAMS]
    ]
    names = sorted({*whole.values(), *(name for link in beside for name in (link.source, link.target))})
    return {"nodes": [{"name": name, "ours": name in ours} for name in names], "streams": streams}


def _whole(name: str, ours: set[str]) -> str:
    """Return the node that a node is a process of, as /policy_node_tick is of /policy_node; or itself."""
    for suffix in _PROCESSES:
        if (owner := name.removesuffix(suffix)) in ours:
            return owner
    return name


def _camera(camera: Camera, now_ns: int) -> dict[str, Any]:
    from lowlat_nodes.cli.dash.pictures import size  # OpenCV, which only cameras need

    frame, trouble = camera.frame, camera.trouble
    width = height = sequence = 0
    age_ms = detections_age_ms = None
    detections: list[dict[str, Any]] = []
    if frame is not None:
        try:
            width, height = size(frame.image)
        except LowlatError as error:
            trouble = str(error)
        sequence, age_ms = frame.sequence, _age_ms(frame.sent_ns, now_ns)
        if frame.detections is not None:
            detections = _detections(frame.detections)
            detections_age_ms = round(age_ms + (frame.stamp_ns - frame.detections_stamp_ns) * 1e-6, 1)
    return {
        "index": camera.index,
        "topic": camera.topic,
        "sequence": sequence,
        "width": width,
        "height": height,
        "age_ms": age_ms,
        "detector": camera.detector or None,
        "detections": detections,
        "detections_age_ms": detections_age_ms,
        "trouble": trouble[:_LONGEST],
    }


def _detections(found: Any) -> list[dict[str, Any]]:
    rows = found.rows[:_MOST_DETECTIONS]
    tracks = [-1] * len(rows) if found.tracks is None else found.tracks[: len(rows)].tolist()
    return [
        {
            "label": found.names[int(number)][:_LONGEST],
            "score": round(score, 3),
            "x": round(left, 1),
            "y": round(top, 1),
            "width": round(right - left, 1),
            "height": round(bottom - top, 1),
            "track": str(track) if track >= 0 else "",
        }
        for (left, top, right, bottom, score, number), track in zip(rows.tolist(), tracks, strict=True)
        if abs(left) + abs(top) + abs(right) + abs(bottom) + abs(score) < float("inf")
    ]


def _arm(arm: Arm, now_ns: int) -> dict[str, Any]:
    return {
        "topic": arm.topic,
        "names": [name[:_LONGEST] for name in arm.names],
        "positions": finite(arm.positions),
        "commands": None if arm.commands is None else finite(arm.commands),
        "outline": None if arm.outline is None else [finite(point) for point in arm.outline],
        "age_ms": _age_ms(arm.sent_ns, now_ns),
    }


def _alert(alert: Alert, joules: float | None) -> dict[str, Any]:
    fields = alert.fields
    stamp_ns = fields.get("published_ns") or fields.get("received_ns")
    return {
        "object": str(fields.get("object_id", ""))[:_LONGEST],
        "best": str(fields.get("best", ""))[:_LONGEST],
        "p": _shares(fields.get("p")),
        "at": stamp_ns * 1e-9 if isinstance(stamp_ns, int) else None,
        "cost": joules,
        "light_curve": _light_curve(fields.get("light_curve")),
    }


def _light_curve(told: Any) -> dict[str, list[list[float]]] | None:
    """Return a light curve by the letters of its passbands; None for anything else."""
    if not isinstance(told, dict):
        return None
    found: dict[str, list[list[float]]] = {}
    for band, points in told.items():
        if not isinstance(points, list) or not all(map(_is_point, points)):
            return None
        found.setdefault(band.rpartition("_")[2], []).extend(points[-_MOST_EPOCHS:])
    return found


def _shares(told: Any) -> dict[str, float]:
    """Return the probabilities that are known, by class."""
    if not isinstance(told, dict):
        return {}
    return {name[:_LONGEST]: share for name, share in list(told.items())[:_MOST_CLASSES] if _is_number(share)}


def _is_point(told: Any) -> bool:
    return isinstance(told, list) and len(told) == 3 and all(map(_is_number, told))


def _is_number(told: Any) -> bool:
    return isinstance(told, float | int) and math.isfinite(told)


def _age_ms(sent_ns: int, now_ns: int) -> float:
    return round((now_ns - sent_ns) * 1e-6, 1)
