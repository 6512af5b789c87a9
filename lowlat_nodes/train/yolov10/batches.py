# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches of labelled images, made ahead of time by a process of their own."""

from __future__ import annotations

import multiprocessing
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowlat_nodes.train.yolov10.boxes import PaddedTruth

if TYPE_CHECKING:
    from typing_extensions import Self

_HEAD: Final = struct.Struct("<dIII")  # CPU time of the process in s; images, height, width
_PATIENCE_S: Final = 5.0


class Labelled(Protocol):
    """An image and what is in it.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        boxes: float32 [n, 4]: x1, y1, x2, y2 in px.
        labels: int64 [n], numbers of classes.
    """

    @property
    def image(self) -> NDArray[np.uint8]: ...  # noqa: D102

    @property
    def boxes(self) -> NDArray[np.float32]: ...  # noqa: D102

    @property
    def labels(self) -> NDArray[np.int64]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Batch:
    """Images, uint8 [B, H, W, 3], and what is in each: float32 [n, 5] of x1, y1, x2, y2 in px and class."""

    images: NDArray[np.uint8]
    rows: list[NDArray[np.float32]]

    def tensors(self) -> tuple[Tensor, PaddedTruth]:
        """What a network takes: images, float32 [B, 3, H, W] from 0 to 1, channels last; and the truth."""
        images = torch.from_numpy(self.images).permute(0, 3, 1, 2).float() / 255.0
        return images, PaddedTruth.pad(self.rows)


def collect(frames: Iterator[Labelled], size: int, *, copies: int = 1) -> Iterator[Batch]:
    """Gather frames into batches; each is shown `copies` times, turned or mirrored, in different batches.

    Frames are square and of one size; `size` is a multiple of `copies`.
    """
    random = np.random.default_rng(0)
    fresh = size // copies
    recent: list[list[Labelled]] = []
    while True:
        recent = [list(islice(frames, fresh)), *recent[: copies - 1]]
        if len(recent[0]) < fresh:
            return
        shown = [_turned(frame, int(random.integers(8))) for group in recent for frame in group]
        yield Batch(np.stack([image for image, _ in shown]), [rows for _, rows in shown])


def _turned(frame: Labelled, way: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mirror a square frame by bits of `way`: left to right, top to bottom, along its diagonal."""
    image, side = frame.image, float(frame.image.shape[0])
    x1, y1, x2, y2 = frame.boxes.T
    if way & 1:
        image, x1, x2 = image[:, ::-1], side - x2, side - x1
    if way & 2:
        image, y1, y2 = image[::-1], side - y2, side - y1
    if way & 4:
        image, x1, y1, x2, y2 = image.transpose(1, 0, 2), y1, x1, y2, x2
    rows = np.stack([x1, y1, x2, y2, frame.labels.astype(np.float32)], axis=1)
    return image, rows


class BatchProcess:
    """Makes batches in a process of its own, one ahead; iterate it within `with`.

    Attributes:
        cpu_s: CPU time that the process had used when it made the last batch.
    """

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        """Run `make`, a function of a module or a partial of one, in the process."""
        context = multiprocessing.get_context("spawn")
        self.cpu_s = 0.0
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_send_all, args=(sender, make), daemon=True)
        self._process.start()
        sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._receiver.close()
        self._process.terminate()
        self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Wait for the next batch. Raises RuntimeError if the process has died."""
        try:
            self.cpu_s, count, height, width = _HEAD.unpack(self._receiver.recv_bytes())
            images = self._array(np.uint8)
            rows = [self._array(np.float32).reshape(-1, 5) for _ in range(count)]
        except EOFError:
            self._process.join(_PATIENCE_S)
            raise RuntimeError(
                f"the process that makes images ended with {self._process.exitcode}; its error is above"
            ) from None
        return Batch(images.reshape(count, height, width, 3), rows)

    def _array(self, dtype: type[np.generic]) -> NDArray[Any]:
        return np.frombuffer(bytearray(self._receiver.recv_bytes()), dtype)  # torch wants to own its memory


def _send_all(sender: Connection, make: Callable[[], Iterator[Batch]]) -> None:
    try:
        for batch in make():
            sender.send_bytes(_HEAD.pack(time.process_time(), *batch.images.shape[:3]))
            sender.send_bytes(np.ascontiguousarray(batch.images).data.cast("B"))
            for rows in batch.rows:
                sender.send_bytes(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
    except (BrokenPipeError, KeyboardInterrupt):
        return  # whoever trained has what he wanted
