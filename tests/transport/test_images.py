# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as C structures: what `cdr.decode` says of the same bytes, and memory that is not used too early."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

import rclpy
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image as RosImage

from lowlat_nodes.stream.payload import Image
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.cdr.messages import PIXELS
from lowlat_nodes.transport.ros import images
from lowlat_nodes.transport.ros.images import IMAGE, ImageTaker, image_taker
from lowlat_nodes.transport.ros.serialised import publish
from lowlat_nodes.transport.ros.waiting import OutsideExecutor


@pytest.fixture(scope="module")
def library() -> images._Library:
    found = images._library()
    if found is None:
        pytest.skip("no C structures of images here")
    return found


@st.composite
def payloads(draw: st.DrawFn) -> Image:
    encoding = draw(st.sampled_from(sorted(PIXELS)))
    pixel = PIXELS[encoding]
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), pixel.channels)
    data = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, shape).astype(pixel.scalar)
    return Image(data[:, :, 0] if pixel.channels == 1 else data, encoding)


frame_ids = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)


@given(stamp_ns=st.integers(0, 2**31 * 10**9 - 1), frame_id=frame_ids, payload=payloads())
def test_a_structure_says_what_the_bytes_say(
    library: images._Library, stamp_ns: int, frame_id: str, payload: Image
) -> None:
    data = cdr.encode(IMAGE, stamp_ns, frame_id, payload)
    held = library.deserialise(data)
    assert held is not None
    read, expected = images.decode(held), cdr.decode(IMAGE, data)
    assert (read.stamp_ns, read.frame_id) == (expected.stamp_ns, expected.frame_id)
    assert read.payload.encoding == expected.payload.encoding
    assert read.payload.data.dtype == expected.payload.data.dtype
    assert np.array_equal(read.payload.data, expected.payload.data)
    assert not read.payload.data.flags.writeable


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encoding": "32FC7"}, "encoding: expected one of"),
        ({"step": 2}, "step: expected at least 9 bytes"),
        ({"data": b"\0" * 5}, "data: expected 2 rows"),
        ({"height": 0}, "expected at least one pixel"),
        ({"height": 0, "data": b""}, "expected at least one pixel"),
        ({"width": 16_000, "height": 16_000, "step": 48_000}, "data: expected 16000 rows"),
        ({"frame_id": "f" * 2000}, "frame_id: expected a string of at most 1024 bytes"),
        ({"nanosec": 2_000_000_000}, "expected nanosec below 1000000000"),
    ],
)
def test_what_contradicts_itself_is_refused(
    library: images._Library, changes: dict[str, Any], expected: str
) -> None:
    from rclpy.serialization import serialize_message

    message = RosImage(height=2, width=3, encoding="rgb8", step=9, data=b"\0" * 18)
    message.header.frame_id = changes.pop("frame_id", "optical")
    message.header.stamp.nanosec = changes.pop("nanosec", 0)
    for name, value in changes.items():
        setattr(message, name, value)
    held = library.deserialise(serialize_message(message))
    assert held is not None
    with pytest.raises(cdr.CdrError, match=expected):
        images.decode(held)


def test_another_layout_is_noticed(library: images._Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.knows_the_layout()
    swapped = type("_Swapped", (images.ctypes.Structure,), {"_fields_": _swapped(images._Image._fields_)})
    monkeypatch.setattr(images, "_Image", swapped)
    assert not library.knows_the_layout()


def _swapped(fields: Any) -> list[Any]:
    """Return the fields with height and width in each other's place."""
    names = {"height": "width", "width": "height"}
    return [(names.get(name, name), kind) for name, kind in fields]


@pytest.fixture
def taken(ros_domain_id: int) -> Iterator[Any]:
    """Publish an image of a value and take it."""
    taker = image_taker()
    if taker is None:
        pytest.skip("no C structures of images here")
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("link")
    publisher = node.create_publisher(RosImage, "image", QoSProfile(depth=10))
    subscription = node.create_subscription(
        RosImage, "image", lambda _message: None, 10, raw=True, callback_group=OutsideExecutor()
    )
    while not publisher.get_subscription_count():
        time.sleep(0.01)

    def take(value: int) -> np.ndarray:
        pixels = np.full((50, 40, 3), value, np.uint8)
        publish(publisher, cdr.encode(IMAGE, 1, "camera", Image(pixels, "rgb8")))
        return images.decode(_next(taker, subscription)).payload.data

    yield take
    node.destroy_node()
    rclpy.shutdown()


def _next(taker: ImageTaker, subscription: Any) -> images.HeldImage:
    deadline = time.monotonic() + 30.0
    while True:
        with subscription.handle:
            held = taker.take(subscription)
        if held is not None:
            return held
        assert time.monotonic() < deadline, "no image came"
        time.sleep(0.005)


@pytest.mark.ros
def test_an_image_that_is_held_is_not_written_over(taken: Any) -> None:
    views = [taken(value) for value in range(8)]  # more than wait for the next image
    gc.collect()
    for value, view in enumerate(views):
        assert (view == value).all()


@pytest.mark.ros
def test_structures_are_used_again(
    library: images._Library, taken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    create = library.create

    def count() -> int:
        made.append(create())
        return made[-1]

    monkeypatch.setattr(library, "create", count)
    for value in range(30):
        view = taken(value)
        assert (view == value).all()
        del view
    assert len(made) <= 3


def test_a_failure_of_the_middleware_is_told(library: images._Library) -> None:
    invalid = SimpleNamespace(handle=SimpleNamespace(pointer=0))
    with pytest.raises(RuntimeError, match="rcl_take says 400"):  # RCL_RET_SUBSCRIPTION_INVALID
        ImageTaker(library).take(invalid)


def test_no_structure_is_left_when_an_image_outlives_its_taker(
    library: images._Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    destroyed: list[int] = []
    destroy = library.destroy

    def count(address: int) -> None:
        destroyed.append(address)
        destroy(address)

    monkeypatch.setattr(library, "destroy", count)
    pixels = np.full((50, 40, 3), 7, np.uint8)
    held = library.deserialise(cdr.encode(IMAGE, 1, "camera", Image(pixels, "rgb8")))
    assert held is not None
    view = images.decode(held).payload.data
    del held
    gc.collect()
    assert not destroyed
    assert (view == 7).all()
    del view
    gc.collect()
    assert len(destroyed) == 1
