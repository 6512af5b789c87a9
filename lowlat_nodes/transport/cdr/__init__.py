# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages as bytes, read and written without rclpy: OMG CDR (XCDR1) <-> `stream.payload`."""

from __future__ import annotations

from lowlat_nodes.transport.cdr.codec import Decoded
from lowlat_nodes.transport.cdr.fixed import Float64MultiArrayWriter, JointStateReader, TrajectoryPointWriter
from lowlat_nodes.transport.cdr.messages import (
    READABLE,
    WRITABLE,
    UnknownType,
    decode,
    encode,
    image_view,
    says_all,
)
from lowlat_nodes.transport.cdr.wire import NAME_LIMIT, Buffer, CdrError, stamp_ns

__all__ = [
    "NAME_LIMIT",
    "READABLE",
    "WRITABLE",
    "Buffer",
    "CdrError",
    "Decoded",
    "Float64MultiArrayWriter",
    "JointStateReader",
    "TrajectoryPointWriter",
    "UnknownType",
    "decode",
    "encode",
    "image_view",
    "says_all",
    "stamp_ns",
]
