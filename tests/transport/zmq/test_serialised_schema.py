# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Serialised ROS messages go over the wire as they are, and say their type."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Serialised
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.frames import decode, encode
from lowlat_nodes.transport.zmq.schemas.serialised import CDR

TYPE = "sensor_msgs/msg/PointCloud2"
DATA = np.arange(64, dtype=np.uint8)


def test_bytes_come_back_as_they_went_without_a_copy() -> None:
    frames = encode(Message("cloud", Serialised(TYPE, DATA)), "cloud", 0)
    assert np.shares_memory(np.frombuffer(frames[2], np.uint8), DATA)
    read = decode([bytes(frame) for frame in frames]).message.payload
    assert (read.type_name, read.data.tobytes()) == (TYPE, DATA.tobytes())


@pytest.mark.parametrize(
    "name", ["", "PointCloud2", "sensor_msgs/PointCloud2", "a/msg/B/../C", 7, None, "a" * 300]
)
def test_what_is_no_type_is_refused(name: object) -> None:
    with pytest.raises(WireError, match="expected a message type"):
        CDR.put_together({"type": name}, [DATA])


def test_what_is_no_row_of_bytes_is_refused() -> None:
    for arrays in ([], [DATA, DATA], [DATA.astype(np.int32)], [DATA.reshape(8, 8)]):
        with pytest.raises(WireError):
            CDR.put_together({"type": TYPE}, arrays)
