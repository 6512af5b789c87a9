# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The client of docs/stream_protocol.md, which needs nothing of this package, run as it stands there."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image, Text
from lowlat_nodes.transport.zmq.publisher import Publisher

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "stream_protocol.md"
PATIENCE_S = 60.0


def test_the_client_of_the_document_reads_images(tmp_path: Path) -> None:
    match = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert match
    program = match[1]
    assert len([line for line in program.splitlines() if line]) <= 15
    endpoint = f"ipc://{tmp_path}/stream"
    image = Message("image", Image(np.full((2, 3, 3), 7, np.uint8), "rgb8"))
    with contextlib.closing(Publisher(endpoint, {"image": "camera", "other": "camera2"})) as publisher:
        client = subprocess.Popen(
            [sys.executable, "-c", program.replace("tcp://127.0.0.1:5557", endpoint)],
            stdout=subprocess.PIPE,
            text=True,
        )
        done = threading.Event()

        def publish() -> None:
            while not done.wait(0.01):
                publisher.write(Message("other", Text("not this one")))
                publisher.write(image)

        writer = threading.Thread(target=publish)
        writer.start()
        try:
            assert client.stdout is not None
            watchdog = threading.Timer(PATIENCE_S, client.kill)
            watchdog.start()
            line = client.stdout.readline()
            watchdog.cancel()
        finally:
            done.set()
            writer.join()
            client.kill()
            client.communicate()
    assert re.fullmatch(r"\d+ rgb8 \(2, 3, 3\) 7\.0\n", line)
