# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes a few frames a second of each camera, with what a detector found in just these."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque

from rclpy.node import Node

from lowlat_nodes.nodes.watch.graph import DETECTIONS, Graph, Topic
from lowlat_nodes.nodes.watch.seen import Camera, Frame
from lowlat_nodes.nodes.watch.sent import sent_ns
from lowlat_nodes.nodes.watch.subscribing import subscribe
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.polled import PolledSubscription

MOST_CAMERAS = 4
_PERIOD_NS = 200_000_000  # between two frames of a camera
_KEPT_NS = (
    10_000_000_000  # how long a camera is listed after its topic has gone, and watched after it was asked for
)
_PATIENCE_NS = 500_000_000  # how long a frame waits for what is found in it
_WAITING = 4
_RECENT = 32
_DEPTH = 10


class CameraWatch:
    """Subscribes to the images of cameras while somebody wants to see them, best effort and newest only.

    Args:
        node: Owns the subscriptions.
        clock: Steady.
        most: So many cameras; further ones are not listed.
    """

    def __init__(self, node: Node, clock: Clock, most: int = MOST_CAMERAS) -> None:
        self._node = node
        self._clock = clock
        self._most = most
        self._cameras: dict[str, _Camera] = {}

    def want(self, index: int | None = None) -> None:
        """Show a camera, or all, for the next 10 s; from any thread."""
        now_ns = self._clock.now_ns()
        for camera in list(self._cameras.values()):
            if index is None or camera.index == index:
                camera.wanted_ns = now_ns

    def follow(self, graph: Graph) -> None:
        """List the cameras that there are now, and forget those that have been gone for long."""
        now_ns = self._clock.now_ns()
        there = {topic.name: topic for topic in graph.cameras()}
        for name, camera in list(self._cameras.items()):
            if name in there and there[name].type_name == camera.type_name:
                camera.there_ns = now_ns
            elif now_ns - camera.there_ns > _KEPT_NS or _is_published(graph, name):  # as something else
                camera.close()
                del self._cameras[name]
        for name, topic in there.items():
            if name not in self._cameras and len(self._cameras) < self._most:
                taken = {camera.index for camera in self._cameras.values()}
                index = next(number for number in range(self._most) if number not in taken)
                self._cameras[name] = _Camera(self._node, topic, index, now_ns)
        for name, camera in self._cameras.items():
            detectors = graph.detectors(name)
            camera.look_at(detectors[0] if detectors else "", graph)

    def poll(self, *, watched: bool) -> None:
        """Take what is due.

        Args:
            watched: Whether anybody looks at all.
        """
        now_ns = self._clock.now_ns()
        for camera in self._cameras.values():
            if watched and now_ns - camera.wanted_ns < _KEPT_NS:
                camera.poll(now_ns)
            else:
                camera.rest()

    def seen(self) -> list[Camera]:
        """Return the cameras by index."""
        return sorted((camera.seen() for camera in self._cameras.values()), key=lambda seen: seen.index)

    def frame(self, index: int) -> Frame | None:
        """Return the newest frame of a camera; from any thread."""
        return next((each.frame for each in list(self._cameras.values()) if each.index == index), None)

    def close(self) -> None:
        """Unsubscribe from everything."""
        while self._cameras:
            self._cameras.popitem()[1].close()


class _Camera:
    def __init__(self, node: Node, topic: Topic, index: int, now_ns: int) -> None:
        self.index = index
        self.type_name = topic.type_name
        self.there_ns = self.wanted_ns = now_ns
        self.frame: Frame | None = None
        self._node = node
        self._topic = topic.name
        self._detector = ""
        self._finders: dict[str, _Finder] = {}
        self._images: PolledSubscription | None = None
        self._due_ns = now_ns
        self._taken = 0
        self._waiting: deque[Frame] = deque(maxlen=_WAITING)
        self._trouble = ""

    def look_at(self, detector: str, graph: Graph) -> None:
        """Take the detections of this node."""
        self._detector = detector
        topics = {topic.name for topic in graph.detections(detector)} if detector else set()
        for name in self._finders.keys() - topics:
            self._finders.pop(name).close()
        for name in topics - self._finders.keys():
            self._finders[name] = _Finder(self._node, name)

    def poll(self, now_ns: int) -> None:
        if self._images is None:
            self._images = subscribe(self._node, self._topic, self.type_name)
        for finder in self._finders.values():
            finder.poll()
        if now_ns >= self._due_ns:
            self._take(now_ns)
        self._show(now_ns)

    def rest(self) -> None:
        """Listen no more; the last frame stays."""
        self._waiting.clear()
        for finder in self._finders.values():
            finder.rest()
        if self._images is not None:
            self._images.close()
            self._images = None

    def seen(self) -> Camera:
        return Camera(self.index, self._topic, self._detector, self.frame, self._trouble)

    def close(self) -> None:
        self.rest()

    def _take(self, now_ns: int) -> None:
        taken = None if self._images is None else self._images.take()
        if taken is None:
            return
        self._due_ns = now_ns + _PERIOD_NS
        try:
            decoded = cdr.decode(self.type_name, taken.data)
        except cdr.CdrError as error:
            self._trouble = str(error)
            return
        self._trouble = ""
        self._taken += 1
        stamp_ns, sent = decoded.stamp_ns or 0, sent_ns(taken, now_ns)
        self._waiting.append(Frame(self._taken, stamp_ns, decoded.frame_id, decoded.payload, sent))

    def _show(self, now_ns: int) -> None:
        """Show the newest frame that a detector has looked at; another one only if there is none for long."""
        for frame in reversed(self._waiting):
            found = self._found(frame)
            if found is not None or not self._finders:
                self.frame = frame if found is None else _with(frame, found, frame.stamp_ns)
                break
        else:
            oldest = self._waiting[0] if self._waiting else None
            if oldest is None or now_ns - oldest.sent_ns < _PATIENCE_NS:
                return
            frame = self._waiting[-1]
            stamp_ns, detections = max(
                (finder.newest(frame.frame_id) for finder in self._finders.values()), key=lambda each: each[0]
            )
            self.frame = frame if detections is None else _with(frame, detections, stamp_ns)
        while self._waiting and self._waiting[0].sequence <= self.frame.sequence:
            self._waiting.popleft()

    def _found(self, frame: Frame) -> Detections | None:
        for finder in self._finders.values():
            found = finder.found(frame.frame_id, frame.stamp_ns)
            if found is not None:
                return found
        return None


class _Finder:
    """The newest detections of one topic, by the frames in which they were found."""

    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self._topic = topic
        self._missing = False
        self._subscription: PolledSubscription | None = None
        self._recent: OrderedDict[tuple[str, int], Detections] = OrderedDict()

    def poll(self) -> None:
        if self._subscription is None:
            if self._missing:
                return
            self._subscription = subscribe(self._node, self._topic, DETECTIONS, _DEPTH)
            self._missing = self._subscription is None  # vision_msgs is not installed here
        if self._subscription is None:
            return
        for taken in self._subscription.drain():
            try:
                decoded = cdr.decode(DETECTIONS, taken.data)
            except cdr.CdrError:
                continue
            self._recent[decoded.frame_id, decoded.stamp_ns or 0] = decoded.payload
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)

    def found(self, frame_id: str, stamp_ns: int) -> Detections | None:
        return self._recent.get((frame_id, stamp_ns))

    def newest(self, frame_id: str) -> tuple[int, Detections | None]:
        """Return the newest detections in any frame of a camera, with its stamp."""
        for (frame, stamp_ns), found in reversed(self._recent.items()):
            if frame == frame_id:
                return stamp_ns, found
        return 0, None

    def rest(self) -> None:
        self._recent.clear()
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def close(self) -> None:
        self.rest()


def _is_published(graph: Graph, topic: str) -> bool:
    return topic in graph.topics and bool(graph.topics[topic].publishers)


def _with(frame: Frame, detections: Detections, stamp_ns: int) -> Frame:
    return dataclasses.replace(frame, detections=detections, detections_stamp_ns=stamp_ns)
