# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The same with pyzmq, msgpack and NumPy alone, to show that nobody needs a package of ours to listen.

    python3 examples/zeromq_plain.py tcp://127.0.0.1:5582 detector_node/camera/detections

docs/stream_protocol.md says what the frames hold; any language with ZeroMQ and msgpack can do this.
"""

import sys

import msgpack
import numpy as np
import zmq

endpoint, topic = sys.argv[1], sys.argv[2].encode()
socket = zmq.Context().socket(zmq.SUB)
socket.subscribe(topic)
socket.connect(endpoint)
while True:
    name, header, *frames = socket.recv_multipart()
    header = msgpack.unpackb(header)
    if name != topic or header["v"] != 1:
        continue  # ZeroMQ gives us topics that only begin like ours, too
    arrays = [
        np.frombuffer(frame, dtype).reshape(shape)
        for frame, (dtype, shape) in zip(frames, header["arrays"], strict=True)
    ]
    if header["schema"] == "image":
        print(header["seq"], "image", header["encoding"], arrays[0].shape, flush=True)
    elif header["schema"] == "detections":
        found = [(header["names"][int(row[5])], round(float(row[4]), 2)) for row in arrays[0]]
        print(header["seq"], "detections", found, flush=True)
    else:
        print(header["seq"], header["schema"], [array.shape for array in arrays], flush=True)
