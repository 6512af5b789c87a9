# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, detections out: the processor behind the detector node."""

from __future__ import annotations

import dataclasses
import difflib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.images.encodings import to_rgb
from lowlat_nodes.inference.backends import Loaded
from lowlat_nodes.inference.calibration import Stop, never
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.stream.bound import UNBOUNDED, Bound
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import CompressedImage, Detections, Image
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.vision.config import DetectorConfig
from lowlat_nodes.vision.drawing import draw
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.loading import load_detector
from lowlat_nodes.vision.placement import Rows
from lowlat_nodes.vision.preprocess import Preprocessor
from lowlat_nodes.vision.tracking import LIMIT, Tracker

DETECTIONS, MARKERS, DEBUG = "detections", "markers", "debug_image"
"""Kinds of results; the streams of a camera are called `<camera>/<kind>`."""


@dataclass(frozen=True, slots=True)
class Stages:
    """How long the parts of one detection took, in ns of a steady clock, and what decided it.

    Attributes:
        candidates: How many boxes there were before any suppression.
        cut: How many of them, the worst, were not looked at.
    """

    prepare_ns: int = 0
    model_ns: int = 0
    decode_ns: int = 0
    track_ns: int = 0
    candidates: int = 0
    cut: int = 0


@dataclass(frozen=True)
class Reporting:
    """What is reported; replaced as a whole while frames are processed."""

    threshold: float
    limit: int
    classes: NDArray[np.bool_] | None


class Detector(Processor):
    """Detects things in the frames of any number of cameras, with one model.

    Args:
        config: Model and reporting.
        cameras: Names of the inputs.
        wanted: Tells whether anybody looks at a stream, by name; what is only for viewers is not made unless
            somebody does.
        stop: Tells whether `open` is to give up while it finds out what is fastest.
        bound: How many boxes of a frame are looked at before suppression and tracking, by camera and model;
            the best ones. A frame of a camera that is refused has no result.
        sharing: With whom the device is shared that the model runs on.

    Attributes:
        stages: How long the last frame took, where.
    """

    def __init__(
        self,
        config: DetectorConfig,
        cameras: Sequence[str] = ("image",),
        *,
        wanted: Callable[[str], bool] = lambda _stream: False,
        stop: Stop = never,
        bound: Bound = UNBOUNDED,
        sharing: Sharing = ALONE,
    ) -> None:
        self.inputs = tuple(cameras)
        self.outputs = tuple(
            f"{camera}/{kind}" for camera in cameras for kind in (DETECTIONS, MARKERS, DEBUG)
        )
        self.stages = Stages()
        self.wanted = wanted
        self._config = config
        self._stop = stop
        self._bound = bound
        self._sharing = sharing
        self._kind = Path(config.model).stem  # models of one node find different numbers of boxes
        self._loaded: Loaded | None = None
        self._layout: Layout | None = None
        self._preprocessor: Preprocessor | None = None
        self._reporting: Reporting | None = None
        self._trackers: dict[str, Tracker] = {}
        self._ids: tuple[str, ...] = ()

    def open(self) -> None:
        """Load the model, find out what it is and which backend runs it best, and warm up.

        Raises:
            ConfigurationError: If the model is no detector that is known, or a class none of its own; if it
                was to stop.
            MissingExtra: If a library that the configuration asks for is not installed.
        """
        if self._config.tracking.kind != "none":
            self._trackers = {camera: Tracker(self._config.tracking) for camera in self.inputs}
        cv2.setNumThreads(1)  # its threads gain a tenth of a ms, and on a busy machine wait for each other
        path = resources.model(self._config.model)
        self._layout, self._loaded = layout, loaded = load_detector(
            path, self._config.layout, self._config.backend, stop=self._stop, sharing=self._sharing
        )
        self._bucket = f"{path.stem} {self.shape}"
        self._reporting = self.reporting(self._config)
        dtype = loaded.model.inputs[layout.image.name].dtype
        self._preprocessor = Preprocessor(
            layout.image,
            layout.resize,
            layout.fill,
            folded=dtype is np.uint8,
            half=dtype is np.float16,
            max_pixels=self._config.max_pixels,
        )
        numbered = self._config.class_id == "number"
        self._ids = tuple(map(str, range(len(layout.names)))) if numbered else layout.names
        for _ in self._sharing.warm_ups():
            self.detect(Image(np.zeros((16, 16, 3), np.uint8), "rgb8"))

    def close(self) -> None:
        """Release the model."""
        self._loaded = self._preprocessor = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes by number, also where results have the numbers."""
        assert self._layout is not None
        return self._layout.names

    @property
    def shape(self) -> str:
        """Return width and height of the images that the model takes, such as `640x480`."""
        assert self._layout is not None
        return f"{self._layout.image.width}x{self._layout.image.height}"

    @property
    def refused(self) -> int:
        """Return how many detections so far were no numbers, or of a class that does not exist."""
        return 0 if self._layout is None else self._layout.refused

    @property
    def loaded(self) -> Loaded:
        """Return the model and how its backend was chosen."""
        assert self._loaded is not None
        return self._loaded

    def report_on(self, config: DetectorConfig) -> None:
        """Take over threshold, classes and number of detections; from any thread.

        Raises:
            ConfigurationError: If a class is none of the model's.
        """
        self._reporting = self.reporting(config)

    def follow_on(self, other: Detector) -> None:
        """Go on with the tracks of another detector of the same classes, which are then those of both."""
        self._trackers = other._trackers

    def detect(self, image: Image | CompressedImage) -> Detections:
        """Return what is in an image, whatever was in those before it.

        Args:
            image: In any encoding that `Preprocessor` reads.

        Raises:
            BadImage: If it cannot be read.
            TurnTimeout: If the device is shared and was not to be had in time.
        """
        reporting = self._reporting
        assert reporting is not None
        return Detections(self._find(image, reporting), self._ids)

    def _find(
        self, image: Image | CompressedImage, reporting: Reporting, most_candidates: int | None = None
    ) -> Rows:
        """Return what is to be reported, found among so many boxes at most."""
        layout, model = self._layout, self.loaded.model
        assert layout is not None
        assert self._preprocessor is not None
        begin_ns = time.perf_counter_ns()
        tensor, placement = self._preprocessor.prepare(image)
        prepared_ns = time.perf_counter_ns()
        with self._sharing.turn.job(self._bucket):
            begun_ns = time.perf_counter_ns()
            outputs = model.run({layout.image.name: tensor, **layout.feed}, layout.outputs)
        inferred_ns = time.perf_counter_ns()
        rows = layout.decode(
            outputs, placement, reporting.threshold, reporting.limit, reporting.classes, most_candidates
        )
        decoded_ns = time.perf_counter_ns()
        count = layout.candidates
        self.stages = Stages(
            prepared_ns - begin_ns,
            inferred_ns - begun_ns,
            decoded_ns - inferred_ns,
            candidates=count,
            cut=0 if most_candidates is None else max(0, count - most_candidates),
        )
        return rows

    def _look(self, message: Message, most_candidates: int | None) -> Detections:
        """Return what is in a frame, on its tracks where they are followed."""
        reporting, tracker = self._reporting, self._trackers.get(message.topic)
        assert reporting is not None
        if tracker is not None:
            return self._follow(message, tracker, most_candidates)
        return Detections(self._find(message.payload, reporting, most_candidates), self._ids)

    def _follow(self, message: Message, tracker: Tracker, most_candidates: int | None) -> Detections:
        """Return what is in a frame, and on which tracks; they also live on what is not reported."""
        reporting, low = self._reporting, self._config.tracking.low_threshold
        assert reporting is not None
        seen = Reporting(min(reporting.threshold, low), max(reporting.limit, LIMIT), reporting.classes)
        rows = self._find(message.payload, seen, most_candidates)
        begin_ns = time.perf_counter_ns()
        tracks = tracker.update(rows, message.trace.capture_ns or message.trace.received_ns)
        self.stages = dataclasses.replace(self.stages, track_ns=time.perf_counter_ns() - begin_ns)
        count = min(int(np.count_nonzero(rows[:, 4] >= np.float32(reporting.threshold))), reporting.limit)
        return Detections(rows[:count], self._ids, tracks[:count])

    def process(self, message: Message) -> Iterator[Message]:
        """Detect in a frame; then, with the detections on their way, draw on it while somebody looks."""
        camera = message.topic
        limit = self._bound.limit(camera, self._kind)
        if limit < 1.0:
            return
        found = self._look(message, None if math.isinf(limit) else int(limit))
        self._bound.note(self.stages.candidates, cut=self.stages.cut > 0, source=camera, bucket=self._kind)
        yield message.derive(f"{camera}/{DETECTIONS}", found)
        if self.wanted(f"{camera}/{MARKERS}"):
            yield message.derive(f"{camera}/{MARKERS}", found)
        if self.wanted(f"{camera}/{DEBUG}"):
            named = Detections(found.rows, self.names, found.tracks)
            drawn = draw(to_rgb(message.payload, self._config.max_pixels), named)
            yield message.derive(f"{camera}/{DEBUG}", Image(drawn, "rgb8"))

    def reporting(self, config: DetectorConfig) -> Reporting:
        """Return what a configuration asks to report.

        Raises:
            ConfigurationError: If a class is none of the model's.
        """
        names, mask = self.names, None
        for name in config.classes:
            if name not in names:
                close = difflib.get_close_matches(name, names, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
                raise ConfigurationError(f"classes: the model has no class {name!r}; {hint}")
        if config.classes:  # several classes may have one name
            mask = np.array([name in config.classes for name in names])
        return Reporting(config.threshold, config.max_detections, mask)
